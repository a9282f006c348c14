//! Pictures of the window without a screen and without a graphics card: egui's triangles, filled as a card would.

// Pixels and their channels are small numbers, and what is outside of a picture is cut off first.
#![allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use eframe::egui::epaint::{Primitive, Vertex};
use eframe::egui::{Color32, ColorImage, Context, FullOutput, ImageData, Rect, TextureId, TexturesDelta};
use egui_kittest::TestRenderer;
use image::{ImageEncoder, Rgb, RgbImage};

/// What a graphics card knows: the textures.
#[derive(Clone, Default)]
pub(crate) struct Canvas(Arc<Mutex<HashMap<TextureId, ColorImage>>>);

impl TestRenderer for Canvas {
    fn handle_delta(&mut self, delta: &mut TexturesDelta) {
        let mut textures = self.0.lock().unwrap();
        for (id, changes) in delta.set.drain() {
            for change in changes {
                let ImageData::Color(image) = change.image;
                match change.pos {
                    None => {
                        textures.insert(id, ColorImage::clone(&image));
                    }
                    Some([left, top]) => {
                        let whole = textures.get_mut(&id).unwrap();
                        let [width, height] = image.size;
                        for y in 0..height {
                            let at = (top + y) * whole.size[0] + left;
                            let row = &image.pixels[y * width..(y + 1) * width];
                            whole.pixels[at..at + width].copy_from_slice(row);
                        }
                    }
                }
            }
        }
        // What is to go is in the last picture all the same, and a test has few textures.
        delta.free.clear();
    }
}

impl Canvas {
    /// Paints what was drawn last.
    pub(crate) fn paint(&self, window: &Context, output: &FullOutput) -> RgbImage {
        let scale = window.pixels_per_point();
        let size = window.content_rect().size() * scale;
        let mut picture = RgbImage::new(size.x.round() as u32, size.y.round() as u32);
        let textures = self.0.lock().unwrap();
        for clipped in window.tessellate(output.shapes.clone(), scale) {
            let Primitive::Mesh(mesh) = clipped.primitive else { continue };
            let clip = clipped.clip_rect * scale;
            let texture = &textures[&mesh.texture_id];
            for corners in mesh.indices.chunks_exact(3) {
                let corners = [0, 1, 2].map(|at| mesh.vertices[corners[at] as usize]);
                triangle(&mut picture, clip, texture, corners, scale);
            }
        }
        picture
    }
}

/// Writes a picture as small as PNG gets it.
pub(crate) fn save(picture: &RgbImage, path: &Path) {
    use image::codecs::png::{CompressionType, FilterType, PngEncoder};
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let encoder = PngEncoder::new_with_quality(file, CompressionType::Best, FilterType::Adaptive);
    let (width, height) = picture.dimensions();
    encoder.write_image(picture, width, height, image::ExtendedColorType::Rgb8).unwrap();
}

/// Steps of a pixel in which corners are placed, so that two triangles with a common edge share no pixel.
const STEPS: f32 = 256.0;

fn triangle(picture: &mut RgbImage, clip: Rect, texture: &ColorImage, mut corners: [Vertex; 3], scale: f32) {
    let place = |corner: &Vertex| {
        let at = corner.pos.to_vec2() * scale * STEPS;
        (at.x.round() as i64, at.y.round() as i64)
    };
    let mut at = [0, 1, 2].map(|which| place(&corners[which]));
    let edge =
        |a: (i64, i64), b: (i64, i64), p: (i64, i64)| (b.0 - a.0) * (p.1 - a.1) - (b.1 - a.1) * (p.0 - a.0);
    let mut area = edge(at[0], at[1], at[2]);
    if area == 0 {
        return;
    }
    if area < 0 {
        at.swap(1, 2);
        corners.swap(1, 2);
        area = -area;
    }
    // A pixel on an edge belongs to the triangle of which it is the top or the left one.
    let owns = |a: (i64, i64), b: (i64, i64)| b.1 < a.1 || (b.1 == a.1 && b.0 > a.0);
    let bias = [(1, 2), (2, 0), (0, 1)].map(|(a, b): (usize, usize)| i64::from(!owns(at[a], at[b])));
    let range = |low: f32, high: f32, from: f32, to: f32, most: u32| {
        (low.max(from).floor().max(0.0) as u32, (high.min(to).ceil().max(0.0) as u32).min(most))
    };
    let pixel = |value: i64| value as f32 / STEPS;
    let least = |of: [i64; 3]| pixel(of.into_iter().min().unwrap());
    let most = |of: [i64; 3]| pixel(of.into_iter().max().unwrap());
    let (xs, ys) = (at.map(|at| at.0), at.map(|at| at.1));
    let (clip_x, clip_y) =
        ((clip.left().round(), clip.right().round()), (clip.top().round(), clip.bottom().round()));
    let (left, right) = range(least(xs), most(xs), clip_x.0, clip_x.1, picture.width());
    let (top, bottom) = range(least(ys), most(ys), clip_y.0, clip_y.1, picture.height());
    let colour_at = |share: [f32; 3]| {
        let mix =
            |of: fn(&Vertex) -> f32| (0..3).map(|which| of(&corners[which]) * share[which]).sum::<f32>();
        let texel = sample(texture, mix(|corner| corner.uv.x), mix(|corner| corner.uv.y));
        let colour: [fn(&Vertex) -> f32; 4] = [
            |corner| f32::from(corner.color.r()),
            |corner| f32::from(corner.color.g()),
            |corner| f32::from(corner.color.b()),
            |corner| f32::from(corner.color.a()),
        ];
        [0, 1, 2, 3].map(|channel| mix(colour[channel]) * texel[channel])
    };
    // Most of a window is of one colour.
    let [first, second, third] = &corners;
    let same = |one: &Vertex, other: &Vertex| one.color == other.color && one.uv == other.uv;
    let plain = (same(first, second) && same(first, third)).then(|| colour_at([1.0, 0.0, 0.0]));
    let step = STEPS as i64;
    let middle = |value: u32| i64::from(value) * step + step / 2;
    let edges = [(1, 2), (2, 0), (0, 1)].map(|(a, b): (usize, usize)| (at[a], at[b]));
    for y in top..bottom {
        // The pixels of the row that are on the right side of all edges.
        let (mut begin, mut end) = (i64::from(left), i64::from(right));
        for ((a, b), bias) in edges.into_iter().zip(bias) {
            let (start, slope) = (edge(a, b, (middle(0), middle(y))) - bias, -(b.1 - a.1) * step);
            match slope {
                0 if start < 0 => end = begin,
                0 => {}
                1.. => {
                    begin = begin.max((-start).div_euclid(slope) + i64::from((-start).rem_euclid(slope) > 0));
                }
                _ => end = end.min(start.div_euclid(-slope) + 1),
            }
        }
        for x in begin..end {
            let (x, p) = (x as u32, (middle(x as u32), middle(y)));
            let [red, green, blue, alpha] =
                plain.unwrap_or_else(|| colour_at(edges.map(|(a, b)| edge(a, b, p) as f32 / area as f32)));
            let under = picture.get_pixel_mut(x, y);
            if alpha >= 255.0 {
                *under = Rgb([red, green, blue].map(|channel| channel as u8));
                continue;
            }
            for (under, over) in under.0.iter_mut().zip([red, green, blue]) {
                *under = (over + f32::from(*under) * (1.0 - alpha / 255.0)).round().clamp(0.0, 255.0) as u8;
            }
        }
    }
}

/// The texture there, between the four texels around it, as parts of one.
fn sample(texture: &ColorImage, u: f32, v: f32) -> [f32; 4] {
    let [width, height] = texture.size;
    let (x, y) = (u * width as f32 - 0.5, v * height as f32 - 0.5);
    let (left, top) = (x.floor(), y.floor());
    let (right_share, bottom_share) = (x - left, y - top);
    let at = |x: f32, y: f32| {
        let within = |value: f32, size: usize| (value.max(0.0) as usize).min(size - 1);
        let pixel: Color32 = texture.pixels[within(y, height) * width + within(x, width)];
        pixel.to_array().map(|channel| f32::from(channel) / 255.0)
    };
    let corners = [at(left, top), at(left + 1.0, top), at(left, top + 1.0), at(left + 1.0, top + 1.0)];
    [0, 1, 2, 3].map(|channel| {
        let row = |a: usize, b: usize| {
            corners[a][channel] * (1.0 - right_share) + corners[b][channel] * right_share
        };
        row(0, 1) * (1.0 - bottom_share) + row(2, 3) * bottom_share
    })
}

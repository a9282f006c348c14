//! `sealift-gui`, the desktop client: the window over the transfer engine that the command line uses, too.
//!
//! A library so that tests can draw the very same window without a screen.

mod any_path;
pub mod app;
pub mod engine;
mod icons;
pub mod model;
pub mod saved_queue;
pub mod store;
mod texts;
mod theme;
pub mod view;

use std::path::PathBuf;
use std::process::ExitCode;

use eframe::egui;
use sealift_transfer::Configuration;
use sealift_transfer::configuration::{ConfigurationError, Platform};

pub use app::{App, Places};

/// The whole program: reads the command line, opens the window, and returns when it is closed.
pub fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let token = match (arguments.next(), arguments.next()) {
        (None, _) => None,
        (Some(token), None) if token.starts_with("sealift-join:") => Some(token),
        (Some(flag), None) if flag == "--version" || flag == "-V" => {
            return say(concat!("sealift-gui ", env!("CARGO_PKG_VERSION")));
        }
        (Some(flag), None) if flag == "--help" || flag == "-h" => return say(USAGE),
        _ => {
            let _ = std::io::Write::write_all(&mut std::io::stderr(), format!("{USAGE}\n").as_bytes());
            return ExitCode::from(2);
        }
    };
    match run(token) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let message = format!("sealift-gui: {message}\n");
            let _ = std::io::Write::write_all(&mut std::io::stderr(), message.as_bytes());
            ExitCode::FAILURE
        }
    }
}

const USAGE: &str = "The Sealift desktop client

Usage: sealift-gui [TOKEN]

TOKEN is what `sealiftd invite NAME` prints on the server: sealift-join:...
Profiles are those of the command line, in the user's configuration directory, or in SEALIFT_CONFIG_DIR.
The first server to be shown is the one that was shown last, or else the profile that SEALIFT_PROFILE or
`profile` in config.toml names.";

fn say(text: &str) -> ExitCode {
    // Whoever closed the output does not want to read it.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), format!("{text}\n").as_bytes());
    ExitCode::SUCCESS
}

fn run(token: Option<String>) -> Result<(), String> {
    sealift_transfer::descriptors::raise_limit();
    let places = places().map_err(|error| error.to_string())?;
    let app = App::new(&places, token).map_err(|error| format!("cannot start: {error}"))?;
    let viewport = egui::ViewportBuilder::default()
        .with_title(texts::NAME)
        .with_app_id("sealift-gui")
        .with_icon(icon())
        .with_inner_size(app.look.size)
        .with_maximized(app.look.maximized)
        .with_min_inner_size([640.0, 440.0]);
    // There are no gradients here, and a screen without a graphics card would pay for every point.
    let options = eframe::NativeOptions { viewport, dithering: false, ..eframe::NativeOptions::default() };
    let start = Box::new(move |creation: &eframe::CreationContext<'_>| {
        app.attach(&creation.egui_ctx);
        Ok(Box::new(app) as Box<dyn eframe::App>)
    });
    eframe::run_native(texts::NAME, options, start).map_err(|error| {
        format!("cannot open a window: {error}; check that a screen is there, and that its driver knows OpenGL 2.1")
    })
}

/// The window's icon; none if what is built in could not be read.
fn icon() -> egui::IconData {
    let png = include_bytes!("../assets/sealift-gui.png");
    match image::load_from_memory_with_format(png, image::ImageFormat::Png) {
        Ok(image) => {
            let image = image.into_rgba8();
            egui::IconData { width: image.width(), height: image.height(), rgba: image.into_raw() }
        }
        Err(_) => egui::IconData::default(),
    }
}

/// Where things are for whoever runs this.
fn places() -> Result<Places, ConfigurationError> {
    let configuration = Configuration::find(|name| std::env::var_os(name), Platform::of_this_user)?;
    let user = directories::UserDirs::new();
    let downloads = user.as_ref().and_then(|user| user.download_dir()).map(PathBuf::from);
    let downloads = downloads.or_else(|| user.map(|user| user.home_dir().join("Downloads")));
    Ok(Places {
        profiles: configuration.profiles(),
        profile: configuration.profile().map_err(|error| error.to_string()),
        state: configuration.state().join("gui"),
        downloads: downloads.unwrap_or_else(std::env::temp_dir),
        opener: engine::Opening::usual_program(),
    })
}

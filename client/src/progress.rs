//! The progress bar.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use crate::text;

/// A run that is over sooner needs no bar.
const PATIENCE: Duration = Duration::from_millis(300);

/// How often the bar is drawn in a second.
const RATE: u8 = 10;

/// One bar for a whole run, with the name of the file that is on its way. It has no colours.
#[derive(Debug)]
pub(crate) struct Bar {
    began: Instant,
    /// From the start, so that its estimates are right when it is first seen.
    bar: Option<ProgressBar>,
    seen: bool,
    kind: BarKind,
}

/// What a bar knows, and so shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct BarKind {
    /// How much there is in all.
    length: bool,
    /// How many files are left.
    count: bool,
}

impl Bar {
    /// A bar that shows nothing unless it is `wanted`.
    pub(crate) fn new(wanted: bool) -> Self {
        let kind = BarKind::default();
        let bar =
            || ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_style(style(kind));
        Self { began: Instant::now(), bar: wanted.then(bar), seen: false, kind }
    }

    /// Sets how much there is in all, where that is known.
    pub(crate) fn set_length(&mut self, length: Option<u64>) {
        self.become_kind(BarKind { length: length.is_some(), ..self.kind });
        if let Some(bar) = &self.bar {
            match length {
                Some(length) => bar.set_length(length),
                None => bar.unset_length(),
            }
        }
    }

    /// Sets what is written of the files that are left; there are several.
    pub(crate) fn set_count(&mut self, count: impl FnOnce() -> String) {
        self.become_kind(BarKind { count: true, ..self.kind });
        if let Some(bar) = &self.bar {
            bar.set_prefix(count());
        }
    }

    fn become_kind(&mut self, kind: BarKind) {
        if let Some(bar) = self.bar.as_ref().filter(|_| self.kind != kind) {
            bar.set_style(style(kind));
        }
        self.kind = kind;
    }

    /// Sets the name that is written beside the bar.
    pub(crate) fn set_message(&self, message: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_message(text::harmless(&message()).into_owned());
        }
    }

    /// Sets how much is done, and shows the bar if it is time.
    pub(crate) fn set_position(&mut self, bytes: u64) {
        if let Some(bar) = &self.bar {
            if !self.seen && self.began.elapsed() >= PATIENCE {
                bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(RATE));
                self.seen = true;
            }
            bar.set_position(bytes);
        }
    }

    /// Forgets how fast it was: what is done now was not done just now.
    pub(crate) fn forget_rate(&self) {
        if let Some(bar) = &self.bar {
            bar.reset_eta();
        }
    }

    /// Lets `print` write lines that the bar does not overwrite.
    pub(crate) fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// Removes the bar.
    pub(crate) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Bar {
    /// An interrupted run leaves no half-drawn line.
    fn drop(&mut self) {
        self.clear();
    }
}

fn style(kind: BarKind) -> ProgressStyle {
    // Where names alternate, they come last and get what room there is: the figures keep their places, and fit into
    // 80 columns.
    let template = match (kind.length, kind.count) {
        (true, false) => "{wide_msg} {percent:>3}% [{bar:20}] {done} of {all}, {speed}, {left} left",
        (false, false) => "{wide_msg} {done}, {speed}, {elapsed}",
        (true, true) => "[{bar:8}] {percent:>3}% of {all}, {speed}, {left} and {prefix} {wide_msg}",
        (false, true) => "{done}, {speed}, {elapsed}, {prefix} {wide_msg}",
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let style = style.progress_chars("=> ");
    style
        .with_key("done", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = out.write_str(&text::size(state.pos()));
        })
        .with_key("all", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = out.write_str(&text::size(state.len().unwrap_or(0)));
        })
        .with_key("speed", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = out.write_str(&speed(state.per_sec()));
        })
        .with_key("left", |state: &ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = out.write_str(&text::guess(state.eta()));
        })
}

/// What is measured becomes whole bytes; the fraction and the sign mean nothing here.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn speed(per_second: f64) -> Cow<'static, str> {
    match text::rate(per_second as u64, Duration::from_secs(1)) {
        Some(rate) => rate.into(),
        None => "-".into(),
    }
}

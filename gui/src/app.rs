//! The window: the model, the engine behind it, and what is drawn of both.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use eframe::egui::{Context, Theme, ThemePreference, Ui};
use sealift_transfer::Profiles;
use sealift_types::Name;

use crate::engine::{Engine, EngineCommand, Opening, infos};
use crate::model::Model;
use crate::model::queue::{TransferQueue, Trouble};
use crate::store::{Look, Scheme, Store};
use crate::texts;
use crate::view::{self, ViewState};

/// Where the window finds and keeps things.
#[derive(Debug, Clone)]
pub struct Places {
    /// The user's profiles, which the command line shares.
    pub profiles: Profiles,
    /// The one that is shown if none was shown before; or why nobody can tell.
    pub profile: Result<Option<Name>, String>,
    /// What the window keeps between two starts.
    pub state: PathBuf,
    /// Where downloads go at first.
    pub downloads: PathBuf,
    /// The program that opens files.
    pub opener: PathBuf,
}

/// The window.
#[derive(Debug)]
pub struct App {
    /// What it is about.
    pub model: Model,
    /// How it looks.
    pub look: Look,
    shown: ViewState,
    engine: Engine,
    store: Option<Store>,
    kept: Look,
    /// What was chosen, and what the desktop says, as of the last time that the colours were set.
    colours: Option<(Scheme, Option<Theme>)>,
}

impl App {
    /// A window on the profiles and the saved queue, with a token to join with if there is one.
    ///
    /// # Errors
    /// Fails when the system gives the engine no thread.
    pub fn new(places: &Places, token: Option<String>) -> std::io::Result<Self> {
        let store = Store::open(places.state.clone());
        let look = store.as_ref().map_or_else(|_| Look::default(), Store::look);
        let mut queue = TransferQueue::new(look.parallel);
        let file = store.as_ref().ok().and_then(Store::queue_file);
        let is_elsewhere = file.is_none();
        let (file, damaged) = file.map_or((None, None), |file| file.load(&mut queue));
        let queue = Arc::new(Mutex::new(queue));
        let known = infos(&places.profiles);
        let downloads = look.downloads.clone().unwrap_or_else(|| places.downloads.clone());
        let opening = Opening { directory: places.state.join("opened"), program: places.opener.clone() };
        let mut model = Model::new(queue.clone(), downloads, opening.clone());
        let now = Instant::now();
        match (&store, is_elsewhere, damaged) {
            (Err(error), ..) => {
                let reason = sealift_transfer::error::plain(error);
                model.notices.complain(&texts::state_unusable(&places.state, &reason), now);
            }
            (Ok(_), true, _) => model.notices.complain(&texts::queue_elsewhere(), now),
            (Ok(_), false, Some(message)) => {
                model.notices.complain(&Trouble::of_person(message), now);
            }
            (Ok(_), false, None) => {}
        }
        if let (Ok(_), Err(error)) = (&store, opening.prepare()) {
            let reason = sealift_transfer::error::plain(&error);
            model.notices.complain(&texts::state_unusable(&opening.directory, &reason), now);
        }
        let engine = Engine::start(places.profiles.clone(), queue, file, opening)?;
        let chosen = places.profile.clone().unwrap_or_else(|message| {
            model.notices.complain(&Trouble::of_person(message), now);
            None
        });
        model.begin(known, [look.profile.clone(), chosen]);
        if let Some(token) = token {
            model.screen = crate::model::Screen::Join;
            model.join.token = token;
            model.submit_join();
        }
        engine.send(EngineCommand::Stir);
        Ok(Self {
            model,
            kept: look.clone(),
            look,
            shown: ViewState::default(),
            engine,
            store: store.ok(),
            colours: None,
        })
    }

    /// Prepares the window's style, and has the engine draw it when there is something new.
    pub fn attach(&self, window: &Context) {
        crate::theme::apply(window);
        window.add_plugin(view::Presses::default());
        window.set_zoom_factor(self.look.zoom);
        self.engine.waker.attach(window.clone());
    }

    /// Draws the window once.
    pub fn draw(&mut self, ui: &mut Ui) {
        let now = Instant::now();
        self.engine.waker.drawing();
        while let Ok(update) = self.engine.updates.try_recv() {
            self.model.apply(update, now);
        }
        let retry = self.model.retry(now);
        self.colour(ui.ctx());
        view::show(ui, &mut self.model, &mut self.look, &mut self.shown);
        for command in self.model.take_commands() {
            self.engine.send(command);
        }
        self.look.profile.clone_from(&self.model.profile);
        self.look.downloads = Some(self.model.downloads.clone());
        self.look.parallel = self.model.queue().parallel();
        self.observe(ui.ctx());
        if let Some(change) = self.model.notices.next_change().into_iter().chain(retry).min() {
            // One picture when it is time, and none until then.
            let wait = change.saturating_duration_since(now) + Duration::from_millis(20);
            ui.ctx().request_repaint_after(wait);
        }
    }

    /// Sets the colours, if something about them has changed.
    fn colour(&mut self, window: &Context) {
        let wanted = (self.look.scheme, self.model.appearance);
        if self.colours.replace(wanted) == Some(wanted) {
            return;
        }
        // Where the window system says what the desktop is, that counts; elsewhere, such as on X11, the desktop's own word.
        window.options_mut(|options| options.fallback_theme = wanted.1.unwrap_or(Theme::Light));
        window.set_theme(match wanted.0 {
            Scheme::System => ThemePreference::System,
            Scheme::Light => ThemePreference::Light,
            Scheme::Dark => ThemePreference::Dark,
        });
    }

    /// Takes down how the window looks.
    fn observe(&mut self, window: &Context) {
        let (rect, maximized, focused) = window.input(|input| {
            let viewport = input.viewport();
            (viewport.inner_rect, viewport.maximized, input.focused)
        });
        self.look.maximized = maximized.unwrap_or(false);
        self.look.zoom = window.zoom_factor();
        if let Some(rect) = rect.filter(|rect| !self.look.maximized && rect.width() > 1.0) {
            self.look.size = [rect.width() * self.look.zoom, rect.height() * self.look.zoom];
        }
        self.engine.attend(focused);
    }

    /// Keeps how the window looks.
    fn keep(&mut self) {
        if let Some(store) = &self.store
            && self.look != self.kept
        {
            // A look that is not kept is no loss worth a message when the window is closing.
            let _ = store.save_look(&self.look);
            self.kept.clone_from(&self.look);
        }
    }
}

impl eframe::App for App {
    fn ui(&mut self, ui: &mut Ui, _: &mut eframe::Frame) {
        self.draw(ui);
        if ui.input(|input| input.viewport().close_requested()) {
            self.keep();
        }
    }

    fn on_exit(&mut self, _: Option<&eframe::glow::Context>) {
        self.keep();
    }
}

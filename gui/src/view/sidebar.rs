//! Servers, spaces, and the state of the connection.

use std::time::SystemTime;

use eframe::egui::{
    Align, Button, Layout, Response, RichText, ScrollArea, Ui, Vec2, WidgetInfo, accesskit::Role,
    containers::menu::MenuButton,
};
use sealift_transfer::Remedy;
use sealift_types::Name;

use super::widgets;
use crate::model::{Dialog, Model, Screen, ServerLink};
use crate::store::{Look, Scheme};
use crate::theme::GAP;
use crate::{icons, texts, theme};

/// What is to be done about a server.
enum ServerAction {
    Open(Name),
    Rename(Name),
    JoinAgain(Name),
    Remove(Name),
}

pub(super) fn show(ui: &mut Ui, model: &mut Model, look: &mut Look) {
    eframe::egui::Panel::bottom("state")
        .show_separator_line(false)
        .frame(eframe::egui::Frame::new().inner_margin(eframe::egui::Margin {
            left: 8,
            right: 0,
            top: 8,
            bottom: 4,
        }))
        .show(ui, |ui| {
            state(ui, model);
            scheme(ui, look);
        });
    ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        // Spaces come and go with the connection: below them, the servers would move under the mouse.
        title(ui, texts::SERVERS);
        servers(ui, model);
        ui.add_space(2.0 * GAP);
        title(ui, texts::SPACES);
        spaces(ui, model);
    });
}

fn title(ui: &mut Ui, text: &str) {
    ui.horizontal(|ui| {
        ui.spacing_mut().interact_size.y = 24.0;
        ui.add_space(GAP);
        ui.label(theme::strong(text).size(12.0).color(theme::palette(ui).weak));
    });
}

/// A line to choose from. Of servers one is always chosen, which is no reason to shine as much as the place does.
fn line(ui: &mut Ui, icon: &str, text: &str, selected: bool, shines: bool) -> Response {
    let button = Button::new(widgets::atoms(icon, text))
        .selected(selected && shines)
        .frame_when_inactive(selected)
        .gap(GAP)
        .truncate()
        .min_size(Vec2::new(ui.available_width(), theme::BUTTON));
    let response = ui
        .with_layout(Layout::top_down_justified(Align::Min), |ui| {
            ui.spacing_mut().button_padding.x = GAP;
            ui.add(button)
        })
        .inner;
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, selected, text));
    response
}

fn spaces(ui: &mut Ui, model: &mut Model) {
    let shown = model.browser.path.as_str().split('/').nth(1).unwrap_or_default().to_owned();
    let browsing = model.screen == Screen::Browse;
    let mut names: Vec<String> = Vec::new();
    if let Some(account) = &model.account {
        names.push(account.identity.to_string());
        let others = account.spaces.iter().map(|space| space.space.to_string());
        names.extend(others.filter(|name| *name != account.identity.as_str()));
    }
    for (at, name) in names.iter().enumerate() {
        let icon = if at == 0 { icons::HOUSE } else { icons::USERS };
        if line(ui, icon, name, browsing && *name == shown, true).clicked()
            && let Ok(path) = format!("/{name}").parse()
        {
            model.go(path);
        }
    }
    if model.account.is_some() {
        if line(ui, icons::STACK, texts::ALL_SPACES, browsing && shown.is_empty(), true).clicked()
            && let Ok(path) = "/".parse()
        {
            model.go(path);
        }
        if line(ui, icons::CLOCK_COUNTER_CLOCKWISE, texts::LOG, model.screen == Screen::Log, true).clicked() {
            model.show_log();
        }
    } else {
        ui.label(RichText::new(texts::NOT_CONNECTED).weak());
    }
}

fn servers(ui: &mut Ui, model: &mut Model) {
    let mut act = None;
    for profile in &model.profiles {
        let selected = model.profile.as_ref() == Some(&profile.name);
        let response = line(ui, icons::PLUGS, profile.name.as_str(), selected, false);
        response.context_menu(|ui| {
            widgets::menu(ui);
            let mut item = |ui: &mut Ui, icon: &str, text: &str, does: ServerAction| {
                if widgets::menu_item(ui, icon, text, None, true) {
                    act = Some(does);
                    ui.close();
                }
            };
            item(ui, icons::PENCIL_SIMPLE, texts::RENAME_SERVER, ServerAction::Rename(profile.name.clone()));
            item(ui, icons::PLUGS, texts::JOIN_AGAIN, ServerAction::JoinAgain(profile.name.clone()));
            ui.separator();
            item(ui, icons::TRASH, texts::REMOVE_SERVER, ServerAction::Remove(profile.name.clone()));
        });
        let tells = match &profile.trouble {
            Some(trouble) => trouble.message.clone(),
            None => profile.server.clone(),
        };
        if response.on_hover_text(tells).clicked() && !selected {
            act = Some(ServerAction::Open(profile.name.clone()));
        }
    }
    match act {
        Some(ServerAction::Open(name)) => model.open(name),
        Some(ServerAction::Rename(profile)) => {
            let name = profile.to_string();
            model.dialog = Some(Dialog::RenameServer { profile, name });
        }
        Some(ServerAction::JoinAgain(name)) => model.ask_to_join(Some(name)),
        Some(ServerAction::Remove(name)) => model.ask_to_remove(name),
        None => {}
    }
    if line(ui, icons::PLUS, texts::ADD_SERVER, false, false).clicked() {
        model.ask_to_join(None);
    }
}

/// Whether the window is light or dark.
fn scheme(ui: &mut Ui, look: &mut Look) {
    let button = Button::new(RichText::new(texts::APPEARANCE).small().weak()).frame_when_inactive(false);
    MenuButton::from_button(button).ui(ui, |ui| {
        widgets::menu(ui);
        for (text, scheme) in [
            (texts::SCHEME_SYSTEM, Scheme::System),
            (texts::SCHEME_LIGHT, Scheme::Light),
            (texts::SCHEME_DARK, Scheme::Dark),
        ] {
            let icon = if look.scheme == scheme { icons::CHECK } else { "" };
            if widgets::menu_item(ui, icon, text, None, true) {
                look.scheme = scheme;
                ui.close();
            }
        }
    });
}

/// Who one is, whether the server can be reached, and how long the certificate is good.
fn state(ui: &mut Ui, model: &mut Model) {
    ui.spacing_mut().item_spacing.y = 4.0;
    ui.spacing_mut().interact_size.y = 20.0;
    match &model.link {
        ServerLink::Connecting => {
            ui.label(RichText::new(texts::CONNECTING).weak());
        }
        ServerLink::Down(_) => {
            ui.colored_label(
                ui.visuals().error_fg_color,
                widgets::labelled(icons::WARNING_CIRCLE, texts::NOT_CONNECTED),
            );
        }
        ServerLink::Up => {
            let who = model.account.as_ref().map(|account| account.identity.to_string()).unwrap_or_default();
            ui.horizontal(|ui| {
                ui.label(RichText::new(icons::USER).size(theme::ICON));
                ui.add(eframe::egui::Label::new(theme::strong(who)).truncate());
            });
        }
    }
    let Some(expires) = model.expires() else { return };
    let now = SystemTime::now();
    let due =
        model.profiles.iter().any(|profile| Some(&profile.name) == model.profile.as_ref() && profile.renew);
    let expired = expires <= now;
    let text = RichText::new(texts::expiry(expires, now)).small();
    let text = match (expired, due) {
        (true, _) => text.color(ui.visuals().error_fg_color),
        (false, true) => text.color(ui.visuals().warn_fg_color),
        (false, false) => text.weak(),
    };
    ui.add(eframe::egui::Label::new(text).wrap());
    let refused = matches!(&model.link, ServerLink::Down(trouble) if trouble.mend == Remedy::JoinAgain);
    if expired || refused {
        if ui.button(texts::JOIN_AGAIN).clicked() {
            model.ask_to_join(model.profile.clone());
        }
    } else if model.link == ServerLink::Up && ui.link(RichText::new(texts::RENEW).small()).clicked() {
        model.renew();
    }
}

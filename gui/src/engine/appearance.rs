//! Whether the desktop is light or dark, where the window system does not tell: on X11 and on many Wayland desktops.
//!
//! The desktop's portal is asked, which tells of changes as well; without one, the settings of GTK are read.

use std::path::PathBuf;
use std::sync::Arc;

use eframe::egui::Theme;
use futures_util::StreamExt;
use zbus::{Connection, OwnedVariant, Proxy, Variant};

use super::context::EngineContext;
use super::messages::EngineUpdate;

const NAMESPACE: &str = "org.freedesktop.appearance";
const KEY: &str = "color-scheme";

/// Tells the window how the desktop is, now and whenever that changes.
pub(super) async fn watch(shared: Arc<EngineContext>) {
    let gtk = of_gtk(|name| std::env::var_os(name), |path| std::fs::read_to_string(path).ok());
    shared.tell(EngineUpdate::Appearance(gtk));
    let Ok(connection) = Connection::session().await else { return };
    // A desktop without a portal has nothing more to tell.
    let _ = follow(&connection, |theme| shared.tell(EngineUpdate::Appearance(theme.or(gtk)))).await;
}

/// Reads the portal's setting, and tells of it and of its changes. Ends when the bus does.
async fn follow(connection: &Connection, mut tell: impl FnMut(Option<Theme>)) -> zbus::Result<()> {
    let portal = Proxy::new(
        connection,
        "org.freedesktop.portal.Desktop",
        "/org/freedesktop/portal/desktop",
        "org.freedesktop.portal.Settings",
    )
    .await?;
    let mut changes = portal.receive_signal_with_args("SettingChanged", &[(0, NAMESPACE), (1, KEY)]).await?;
    let value: OwnedVariant = portal.call("Read", &(NAMESPACE, KEY)).await?;
    tell(of_portal(&value));
    while let Some(change) = changes.next().await {
        let (_, _, value): (String, String, OwnedVariant) = change.body().deserialize()?;
        tell(of_portal(&value));
    }
    Ok(())
}

/// What the portal's number means; `None` if the user has no preference.
fn of_portal(value: &Variant<'_>) -> Option<Theme> {
    match value {
        // Older portals wrap it once more.
        Variant::Variant(inner) => of_portal(inner),
        Variant::U32(1) => Some(Theme::Dark),
        Variant::U32(2) => Some(Theme::Light),
        _ => None,
    }
}

/// What GTK's settings say: those of the environment, then the user's.
fn of_gtk(
    variable: impl Fn(&str) -> Option<std::ffi::OsString>,
    read: impl Fn(&std::path::Path) -> Option<String>,
) -> Option<Theme> {
    if let Some(theme) = variable("GTK_THEME") {
        return Some(of_name(&theme.to_string_lossy()));
    }
    let home = || variable("HOME").map(|home| PathBuf::from(home).join(".config"));
    let configuration = variable("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home)?;
    let of_file = |version: &str| of_settings(&read(&configuration.join(version).join("settings.ini"))?);
    ["gtk-4.0", "gtk-3.0"].into_iter().find_map(of_file)
}

/// What a `settings.ini` says.
fn of_settings(text: &str) -> Option<Theme> {
    let value = |key: &str| {
        text.lines().find_map(|line| {
            let (name, value) = line.split_once('=')?;
            (name.trim() == key).then(|| value.trim().to_lowercase())
        })
    };
    if let Some(prefers_dark) = value("gtk-application-prefer-dark-theme") {
        let is_dark = prefers_dark == "1" || prefers_dark == "true";
        return Some(if is_dark { Theme::Dark } else { Theme::Light });
    }
    value("gtk-theme-name").map(|name| of_name(&name))
}

/// `Adwaita:dark` and `Adwaita-dark` are dark.
fn of_name(name: &str) -> Theme {
    if name.to_lowercase().ends_with("dark") { Theme::Dark } else { Theme::Light }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};

    use zbus::MessageStream;
    use zbus::message::Type;

    use super::*;

    #[test]
    fn the_settings_of_gtk_are_understood() {
        let none = |_: &str| None;
        let home = |name: &str| (name == "HOME").then(|| "/home/alice".into());
        let file = |version: &'static str, text: &'static str| {
            move |path: &std::path::Path| {
                let wanted = format!("/home/alice/.config/{version}/settings.ini");
                (path == std::path::Path::new(&wanted)).then(|| text.to_owned())
            }
        };
        assert_eq!(of_gtk(none, |_| None), None);
        let variable = |name: &str| (name == "GTK_THEME").then(|| "Adwaita:dark".into());
        assert_eq!(of_gtk(variable, |_| None), Some(Theme::Dark));
        for (text, theme) in [
            ("[Settings]\ngtk-application-prefer-dark-theme = 1\n", Some(Theme::Dark)),
            ("gtk-theme-name=Adwaita-dark\ngtk-application-prefer-dark-theme=false", Some(Theme::Light)),
            ("gtk-theme-name=Yaru-Dark", Some(Theme::Dark)),
            ("gtk-theme-name=Adwaita", Some(Theme::Light)),
            ("[Settings]\ngtk-font-name=Sans", None),
        ] {
            assert_eq!(of_gtk(home, file("gtk-3.0", text)), theme, "{text}");
            assert_eq!(of_gtk(home, file("gtk-4.0", text)), theme, "{text}");
        }
    }

    /// A bus of its own; it ends when this is dropped.
    struct Bus(Child);

    impl Drop for Bus {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    impl Bus {
        fn start() -> Option<(Self, String)> {
            let started = Command::new("dbus-daemon")
                .args(["--session", "--nofork", "--print-address"])
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn();
            let Ok(mut daemon) = started else {
                eprintln!("skipped: dbus-daemon is not installed here");
                return None;
            };
            let mut address = String::new();
            BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut address).unwrap();
            Some((Self(daemon), address.trim().to_owned()))
        }
    }

    async fn connect(address: &str) -> Connection {
        zbus::connection::Builder::address(address).build().await.unwrap()
    }

    /// A portal that says that the desktop is dark, and then that it has become light.
    #[tokio::test]
    async fn the_portal_is_asked_and_its_changes_are_followed() {
        let Some((_bus, address)) = Bus::start() else { return };
        let portal = connect(&address).await;
        portal.request_name("org.freedesktop.portal.Desktop").await.unwrap();
        let serving = portal.clone();
        let mut calls = MessageStream::from(&portal);
        let served = tokio::spawn(async move {
            while let Some(Ok(call)) = calls.next().await {
                let header = call.header();
                if header.message_type() != Type::MethodCall || header.member().unwrap() != "Read" {
                    continue;
                }
                let (namespace, key): (String, String) = call.body().deserialize().unwrap();
                assert_eq!((&*namespace, &*key), (NAMESPACE, KEY));
                let wrapped = Variant::Variant(Box::new(Variant::U32(1)));
                serving.reply(&header, &wrapped).await.unwrap();
                let change = (NAMESPACE, KEY, Variant::U32(2));
                let path = "/org/freedesktop/portal/desktop";
                let interface = "org.freedesktop.portal.Settings";
                serving.emit_signal(None::<&str>, path, interface, "SettingChanged", &change).await.unwrap();
            }
        });
        let client = connect(&address).await;
        let (send, mut told) = tokio::sync::mpsc::unbounded_channel();
        let following = tokio::spawn(async move { follow(&client, |theme| send.send(theme).unwrap()).await });
        assert_eq!(told.recv().await, Some(Some(Theme::Dark)));
        assert_eq!(told.recv().await, Some(Some(Theme::Light)));
        following.abort();
        served.abort();
    }
}

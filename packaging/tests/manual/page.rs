//! A manual page: what clap_mangen makes of a command, and its examples and notes under headings that readers look for.

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

/// The pages of a program and of each of its verbs, by file name: `man sealift` is the overview, `man sealift-put` all
/// about one verb.
pub(crate) fn pages(program: &Command, section: &str) -> Vec<(String, String)> {
    let source = format!("{} {}", program.get_name(), env!("CARGO_PKG_VERSION"));
    let mut program = program.clone().disable_help_subcommand(true);
    program.build();
    let mut pages = Vec::new();
    collect(&program, None, section, &source, &mut pages);
    pages
}

fn collect(
    command: &Command,
    parent: Option<&str>,
    section: &str,
    source: &str,
    pages: &mut Vec<(String, String)>,
) {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    pages.push((format!("{name}.{section}"), render(command, parent, section, source)));
    for verb in command.get_subcommands().filter(|verb| !verb.is_hide_set()) {
        collect(verb, Some(name), section, source, pages);
    }
}

fn render(command: &Command, parent: Option<&str>, section: &str, source: &str) -> String {
    let man = Man::new(command.clone()).section(section).source(source).manual("Sealift");
    let mut page = Vec::new();
    man.render_title(&mut page).unwrap();
    man.render_name_section(&mut page).unwrap();
    man.render_synopsis_section(&mut page).unwrap();
    man.render_description_section(&mut page).unwrap();
    man.render_options_section(&mut page).unwrap();
    if command.get_subcommands().any(|verb| !verb.is_hide_set()) {
        man.render_subcommands_section(&mut page).unwrap();
    }
    let mut roff = Roff::new();
    if let Some(text) = command.get_after_long_help().or_else(|| command.get_after_help()) {
        after(&mut roff, &text.to_string());
    }
    roff.control("SH", ["SEE ALSO"]);
    let (other, other_section) = match (parent, section) {
        (Some(parent), _) => (parent, section),
        (None, "1") => ("sealiftd", "8"),
        (None, _) => ("sealift", "1"),
    };
    roff.text([bold(other), roman(format!("({other_section})"))]);
    page.extend(roff.render().into_bytes());
    let page = String::from_utf8(page).unwrap();
    // The same two definitions of an apostrophe stand above each part.
    let (first, rest) = page.split_at(page.find(".TH").unwrap());
    let page = format!("{first}{}", rest.replace(first, ""));
    // A date that is empty is written as nothing, and what follows would take its place.
    page.replacen(&format!(" {section}  "), &format!(" {section} \"\" "), 1)
}

/// What stands below the options in the help.
fn after(roff: &mut Roff, text: &str) {
    let mut heading = "";
    for paragraph in text.split("\n\n") {
        let (title, lines) = match paragraph.split_once(":\n") {
            Some(("Example" | "Examples", lines)) => ("EXAMPLES", lines),
            _ if paragraph.starts_with("Exit codes") => ("EXIT STATUS", paragraph),
            _ => ("NOTES", paragraph),
        };
        if heading == title {
            roff.control("PP", []);
        } else {
            roff.control("SH", [title]);
            heading = title;
        }
        let mut verbatim = false;
        for line in lines.lines() {
            if line.starts_with("  ") != verbatim {
                verbatim = !verbatim;
                roff.control(if verbatim { "nf" } else { "fi" }, []);
            }
            roff.text([roman(line)]);
        }
        if verbatim {
            roff.control("fi", []);
        }
    }
}

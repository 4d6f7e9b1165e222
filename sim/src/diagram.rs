//! Draws a run as a space-time diagram: one HTML file without external resources. Hosts are lanes and time
//! runs down; messages are arrows, freezes are shaded bars, and everything has a tooltip.

use serde_json::{Value, json};

use crate::trace::{Line, What};

const PAGE: &str = include_str!("diagram/page.html");
const STYLE: &str = include_str!("diagram/style.css");
const SCRIPT: &str = include_str!("diagram/draw.js");

/// Maximum length of a message's text, in characters. A page of a few megabytes opens; one of a hundred
/// does not.
const TEXT_MOST: usize = 400;

/// The page for a trace. `scenario` is the printed scenario of the run.
#[must_use]
pub fn html(title: &str, scenario: &str, lines: &[Line]) -> String {
    let data = Value::Array(lines.iter().filter_map(line).collect());
    // The data must not contain the end tag of its script element.
    let data = data.to_string().replace('<', "\\u003c");
    PAGE.replace("{title}", &escaped(title))
        .replace("{scenario}", &escaped(scenario))
        .replace("{style}", STYLE)
        .replace("{script}", SCRIPT)
        .replace("{data}", &data)
}

/// A line as `draw.js` reads it: time, host, kind, and the fields of that kind. The driver's events and
/// actions appear only in the text trace.
fn line(line: &Line) -> Option<Value> {
    let Line { at, host, what } = line;
    let entry = match what {
        What::Sent { number, to, says } => json!([at, host, "sent", number, to, cut(says)]),
        What::Arrived { number } => json!([at, host, "arrived", number]),
        What::Answered { number, to, says } => {
            json!([at, host, "answered", number, to, cut(says)])
        }
        What::AnswerLost { number } | What::Unheard { number } => {
            json!([at, host, "unanswered", number])
        }
        What::Received { number } => json!([at, host, "received", number]),
        What::Frozen { clock } => json!([at, host, "frozen", format!("frozen; its clock {clock}")]),
        What::Thawed => json!([at, host, "thawed"]),
        What::Down => json!([at, host, "down", "killed"]),
        What::Up => json!([at, host, "up"]),
        What::Fault { begins, says } => json!([at, host, "fault", begins, says]),
        What::Logged { level, .. } if level == "TRACE" => return None,
        What::Logged { level, event, reason, text } => {
            json!([at, host, "told", level, event, reason, cut(text)])
        }
        What::Fact { says } => json!([at, host, "fact", cut(says)]),
        What::Committed { says } => json!([at, host, "committed", cut(says)]),
        What::Violation { says } => json!([at, host, "violation", says]),
    };
    Some(entry)
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_MOST) {
        Some((end, _)) => format!("{} …", &text[..end]),
        None => text.to_owned(),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_says_cannot_end_the_script_or_become_markup() {
        let says = "</script><b>".to_owned();
        let lines = [Line { at: 7, host: "target".to_owned(), what: What::Violation { says } }];
        let page = html("seed <7>", "a & b", &lines);
        assert_eq!(page.matches("</script>").count(), 2, "the data's own end and the code's");
        assert!(!page.contains("<b>"));
        assert!(page.contains("seed &lt;7&gt;") && page.contains("a &amp; b"));
        assert!(page.contains(r#"[7,"target","violation","\u003c/script>\u003cb>"]"#));
    }

    #[test]
    fn a_page_fetches_nothing() {
        let page = html("t", "s", &[]);
        for outside in ["http:", "https:", "src=", "@import", "url("] {
            assert!(!page.replace("http://www.w3.org/2000/svg", "").contains(outside), "{outside}");
        }
    }
}

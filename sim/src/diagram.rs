//! A run as a space-time diagram: one HTML file without outside resources. Hosts are lanes, time goes down;
//! messages are arrows, freezes are shaded bars, and everything says on hover what it is.

use serde_json::{Value, json};

use crate::trace::{Line, What};

const PAGE: &str = include_str!("diagram/page.html");
const STYLE: &str = include_str!("diagram/style.css");
const SCRIPT: &str = include_str!("diagram/draw.js");

/// How much of a message's text is kept: a page of some megabytes opens, one of a hundred does not.
const TEXT_MOST: usize = 400;

/// The page for a trace. `scenario` is the text that the run came from.
#[must_use]
pub fn html(title: &str, scenario: &str, lines: &[Line]) -> String {
    let data = Value::Array(lines.iter().filter_map(line).collect());
    // In a script element the one thing that must not stand is the end of the element.
    let data = data.to_string().replace('<', "\\u003c");
    PAGE.replace("{title}", &escaped(title))
        .replace("{scenario}", &escaped(scenario))
        .replace("{style}", STYLE)
        .replace("{script}", SCRIPT)
        .replace("{data}", &data)
}

/// A line as `draw.js` reads it: time, host, kind, and what belongs to the kind. What the driver heard and
/// ordered is in the text trace alone.
fn line(line: &Line) -> Option<Value> {
    let Line { at, host, what } = line;
    let told = match what {
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
        What::Told { level, .. } if level == "TRACE" => return None,
        What::Told { level, event, reason, text } => {
            json!([at, host, "told", level, event, reason, cut(text)])
        }
        What::Fact { says } => json!([at, host, "fact", cut(says)]),
        What::Committed { says } => json!([at, host, "committed", cut(says)]),
        What::Violation { says } => json!([at, host, "violation", says]),
    };
    Some(told)
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

//! Answers of the agent, rendered and split for both platforms: nothing is lost, every part fits, nothing comes alive.
//!
//! The lines of the input behind the first form feed are the links; what stands before it is the answer.

#![no_main]

use std::sync::{Arc, LazyLock};

use chatbridge::channel::{Channel, text};
use chatbridge_fuzz::channel;
use libfuzzer_sys::fuzz_target;

static SLACK: LazyLock<Arc<dyn Channel>> = LazyLock::new(|| channel("slack"));
static WHATSAPP: LazyLock<Arc<dyn Channel>> = LazyLock::new(|| channel("whatsapp"));

/// Slack's limit, in characters as posted.
const SLACK_PART: usize = 4_000;
/// Meta's limit, in UTF-16 units.
const WHATSAPP_PART: usize = 4_096;
/// What takes a mark its power on WhatsApp.
const SILENCER: char = '\u{200c}';

/// What of a text must arrive: everything but white space, which may give way at a cut.
fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

fn on_slack(answer: &str, links: &[String]) {
    let parts = SLACK.render(answer, links);
    assert!(!parts.is_empty());
    for part in &parts {
        assert!(
            part.chars().count() <= SLACK_PART,
            "{} characters",
            part.chars().count()
        );
        assert!(!part.contains(['<', '>']), "something comes alive");
        let bare = part.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
        assert!(!bare.contains('&'), "an entity was cut, or left bare");
    }
    let posted = parts
        .concat()
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    let (posted, said) = (words(&posted), words(answer));
    let rest = posted.strip_prefix(&said).expect("the answer arrives as it is");
    for link in links
        .iter()
        .map(|link| link.trim())
        .filter(|link| !link.contains(|c: char| c.is_whitespace() || c.is_control()))
    {
        assert!(rest.contains(link), "a link is lost");
    }
}

fn on_whatsapp(answer: &str, links: &[String]) {
    let parts = WHATSAPP.render(answer, links);
    assert!(!parts.is_empty());
    for part in &parts {
        let units = part.encode_utf16().count();
        assert!((1..=WHATSAPP_PART).contains(&units), "{units} units");
        assert!(part.lines().all(|line| !is_alive(line)), "something comes alive");
        assert!(
            !part.chars().any(|c| c.is_control() && c != '\n' && c != '\t'),
            "a control character"
        );
    }
    let visible = |text: &str| -> String {
        let seen = text
            .chars()
            .filter(|c| !c.is_whitespace() && !c.is_control() && *c != SILENCER);
        seen.collect()
    };
    let (sent, said) = (visible(&parts.concat()), visible(answer));
    let rest = sent.strip_prefix(&said).expect("the answer arrives as it is");
    for link in links.iter().map(|link| visible(link)) {
        assert!(said.contains(&link) || rest.contains(&link), "a link is lost");
    }
    // What is silenced already stays as it is.
    if let [part] = &parts[..] {
        assert_eq!(WHATSAPP.render(part, &[]), [part.clone()], "silenced twice");
    }
}

/// Whether a mark on this line formats what follows it, by the plainest reading of WhatsApp's rule: it stands behind no
/// letter or digit and before no space, and the same mark comes again behind no space and before no letter or digit. Equal
/// marks in a row are one mark.
fn is_alive(line: &str) -> bool {
    let line: Vec<char> = line.chars().collect();
    let letter = |c: Option<&char>| c.is_some_and(|c| c.is_alphanumeric() || *c == SILENCER);
    let space = |c: Option<&char>| c.is_none_or(|c| c.is_whitespace());
    (0..line.len()).any(|open| {
        let mark = line[open];
        if !['*', '_', '~', '`'].contains(&mark)
            || open > 0 && (letter(line.get(open - 1)) || line[open - 1] == mark)
        {
            return false;
        }
        if space(line.get(open + 1)) || line.get(open + 1) == Some(&mark) || in_address(&line, open) {
            return false;
        }
        (open + 2..line.len()).any(|close| {
            // The last of its row stands for all of it.
            let ends = line[close] == mark && line.get(close + 1) != Some(&mark);
            let row = line[..close].iter().rev().take_while(|c| **c == mark).count();
            ends && close - row > open + 1
                && !space(line.get(close - row - 1))
                && !letter(line.get(close + 1))
        })
    })
}

/// Whether an address of the web begins before this place and has not ended.
fn in_address(line: &[char], at: usize) -> bool {
    let begin = line[..at]
        .iter()
        .rposition(|c| c.is_whitespace())
        .map_or(0, |space| space + 1);
    let before: String = line[begin..at].iter().collect();
    ["http://", "https://", "www."]
        .iter()
        .any(|address| before.contains(address))
}

fn cut_anywhere(answer: &str) {
    // Above the length of what counts as one character, however many marks it bears.
    let limit = 200 + answer.len() % 97;
    let measure = |text: &str| text.chars().count();
    let parts = text::split(answer, limit, measure);
    assert!(
        parts
            .iter()
            .all(|part| !part.is_empty() && measure(part) <= limit)
    );
    assert_eq!(words(&parts.concat()), words(answer));
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (answer, links) = text.split_once('\u{c}').unwrap_or((&text, ""));
    let links: Vec<String> = links.lines().map(str::to_owned).collect();
    on_slack(answer, &links);
    on_whatsapp(answer, &links);
    cut_anywhere(answer);
});

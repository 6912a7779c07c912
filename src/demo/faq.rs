//! What the demo agent knows: the questions that people ask Fjord & Pine, a shop for outdoor clothes that exists
//! nowhere.

/// What is known of one subject.
struct Entry {
    /// Beginnings of words, in lower case, that show the subject.
    words: &'static [&'static str],
    answer: &'static str,
    source: Option<&'static str>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    /// The words.
    pub(super) text: String,
    /// A page that says more.
    pub(super) sources: Vec<&'static str>,
}

/// The subjects, the more particular ones first: of two that fit equally well, the first is meant.
const SUBJECTS: &[Entry] = &[
    Entry {
        words: &["return", "refund", "exchange", "back"],
        answer: "You can send anything back within 30 days, unworn and with its tag. The return label is free, and \
                 the refund arrives within five working days.",
        source: Some("https://fjord-and-pine.example/returns"),
    },
    Entry {
        words: &[
            "norway",
            "sweden",
            "abroad",
            "europe",
            "country",
            "countries",
            "international",
            "customs",
        ],
        answer: "We ship to all of Europe, Norway and Switzerland included. It takes four to six working days and \
                 costs 9.90 €; customs are paid by us.",
        source: None,
    },
    Entry {
        words: &["ship", "deliver", "send", "post", "parcel", "arrive"],
        answer: "Orders before 2 pm leave the same day and arrive in two to three working days. Shipping is free from \
                 60 €, otherwise 4.90 €.",
        source: None,
    },
    Entry {
        words: &["track", "order", "late", "where's"],
        answer: "The mail that confirmed your order has a tracking link. If it has not moved for three days, tell us \
                 the order number and a person will look into it.",
        source: None,
    },
    Entry {
        words: &["open", "hour", "sunday", "weekend", "close", "closing"],
        answer: "The shop at 12 Harbour Street is open Monday to Friday from 9 am to 6 pm, Saturday from 10 am to 4 pm. \
                 On Sunday it is closed.",
        source: None,
    },
    Entry {
        words: &[
            "size", "sizes", "fit", "fits", "small", "large", "medium", "measure",
        ],
        answer: "Our jackets run true to size, XS to XXL. Between two sizes, take the larger one: there is room for a \
                 sweater then.",
        source: None,
    },
    Entry {
        words: &["pay", "card", "paypal", "invoice", "visa"],
        answer: "You can pay by card, PayPal or bank transfer, and by invoice from your second order on.",
        source: None,
    },
    Entry {
        words: &["waterproof", "rain", "wet", "wash", "care", "clean"],
        answer: "The Skarv jacket is waterproof to a 10-metre water column. Wash it at 30 degrees without softener, and \
                 renew its coating once a year.",
        source: None,
    },
    Entry {
        words: &["repair", "broken", "zip", "guarantee", "warranty", "torn"],
        answer: "We repair what we made: seams and zips for free within three years, and at cost price after that.",
        source: None,
    },
    Entry {
        words: &["voucher", "gift", "discount", "code", "student"],
        answer: "Gift vouchers come by mail within minutes, from 10 € on. Students get 10 % off with a valid card.",
        source: None,
    },
    Entry {
        words: &["human", "person", "colleague", "someone", "phone", "call"],
        answer: "Of course. A colleague reads along from 9 am to 6 pm on working days and will write to you here.",
        source: None,
    },
];

/// Used only where no subject is found.
const SMALL_TALK: &[Entry] = &[
    Entry {
        words: &["thank", "thanks", "great", "perfect"],
        answer: "You're welcome! Just write if there is anything else.",
        source: None,
    },
    Entry {
        words: &["hi", "hello", "hey", "morning", "evening"],
        answer: "Hello! I can tell you about opening hours, shipping, returns, sizes and payment at Fjord & Pine. What \
                 would you like to know?",
        source: None,
    },
];

const FALLBACK: &str = "I'm sorry, I don't know that. I can tell you about opening hours, shipping, returns, sizes and \
                        payment; for everything else, write \"a person, please\" and a colleague takes over.";

/// Words of this length and less count only as a whole: "hi" does not begin "his".
const WHOLE: usize = 3;

/// Answers a question by what was asked before in the same conversation (the latest last) and by what is known. A
/// question with several sentences gets an answer to each.
pub(super) fn answer(question: &str, before: &[String]) -> Answer {
    let lower = question.to_lowercase();
    if lower.contains("ask") && (lower.contains("before") || lower.contains("did i")) {
        return recall(before);
    }
    let sentences: Vec<Vec<&str>> = lower.split(['\n', '?', '!', '.']).map(words).collect();
    let mut found = about(&sentences, SUBJECTS);
    if found.is_empty() {
        found = about(&sentences, SMALL_TALK);
        found.truncate(1);
    }
    if found.is_empty() {
        return plain(FALLBACK.to_owned());
    }
    let answers: Vec<_> = found.iter().map(|entry| entry.answer).collect();
    Answer {
        text: answers.join("\n\n"),
        sources: found.iter().filter_map(|entry| entry.source).collect(),
    }
}

fn recall(before: &[String]) -> Answer {
    plain(before.last().map_or_else(
        || "This is the first question that you ask me here.".to_owned(),
        |last| format!("Before this you asked: \"{}\"", last.trim()),
    ))
}

fn plain(text: String) -> Answer {
    Answer {
        text,
        sources: Vec::new(),
    }
}

fn words(sentence: &str) -> Vec<&str> {
    let between = |c: char| !c.is_alphanumeric() && c != '\'';
    sentence.split(between).filter(|word| !word.is_empty()).collect()
}

/// The entry that fits best, for each sentence that any fits, each once.
fn about(sentences: &[Vec<&str>], entries: &'static [Entry]) -> Vec<&'static Entry> {
    let mut found: Vec<&Entry> = Vec::new();
    for sentence in sentences {
        let score = |entry: &Entry| sentence.iter().filter(|word| entry.shows(word)).count();
        let mut best: Option<(usize, &Entry)> = None;
        for entry in entries {
            let score = score(entry);
            if score > best.map_or(0, |(best, _)| best) {
                best = Some((score, entry));
            }
        }
        if let Some((_, entry)) = best
            && !found.iter().any(|known| std::ptr::eq(*known, entry))
        {
            found.push(entry);
        }
    }
    found
}

impl Entry {
    fn shows(&self, word: &str) -> bool {
        self.words
            .iter()
            .any(|beginning| word == *beginning || (beginning.len() > WHOLE && word.starts_with(beginning)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(question: &str) -> String {
        answer(question, &[]).text
    }

    #[test]
    fn knows_what_people_ask() {
        for (question, expected) in [
            ("When are you open on Saturday?", "Monday to Friday"),
            ("Can I return a jacket that I wore once?", "30 days"),
            ("Do you ship to Norway?", "Norway and Switzerland"),
            ("How long does delivery take?", "two to three working days"),
            ("I'm between two sizes", "larger one"),
            ("Do you take PayPal?", "by card"),
            ("Is it waterproof", "water column"),
            ("The zip is broken", "three years"),
            ("Is there a student discount?", "10 %"),
            ("Where's my order?", "tracking link"),
            ("A person, please", "colleague"),
            ("Thanks!", "welcome"),
            ("hello", "What would you like to know?"),
        ] {
            assert!(
                text(question).contains(expected),
                "{question}: {}",
                text(question)
            );
        }
    }

    #[test]
    fn several_questions_get_an_answer_each_and_greetings_none() {
        let both = text("Hi!\nDo you ship to Norway?\nAnd can I pay by card?");
        assert!(
            both.contains("Norway and Switzerland") && both.contains("PayPal"),
            "{both}"
        );
        assert!(!both.contains("Hello"), "{both}");
    }

    #[test]
    fn remembers_what_was_asked_before() {
        let before = ["When are you open?".to_owned(), "And returns?".to_owned()];
        assert_eq!(
            answer("What did I ask before?", &before).text,
            "Before this you asked: \"And returns?\""
        );
        assert!(text("What did I ask before?").contains("first question"));
    }

    #[test]
    fn returns_name_their_page() {
        assert_eq!(
            answer("returns?", &[]).sources,
            ["https://fjord-and-pine.example/returns"]
        );
    }

    #[test]
    fn offers_a_person_where_it_does_not_know() {
        for question in ["Who won the match?", "", "?!", "his history"] {
            assert!(text(question).contains("a colleague takes over"), "{question}");
        }
    }
}

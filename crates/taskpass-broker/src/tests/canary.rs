//! Nobody finds a secret: not in an entry, a log line, an error, what is printed of an answer, the
//! counters, or the store's file.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io;
use std::sync::{Arc, Mutex};

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use tracing_subscriber::fmt::MakeWriter;

use super::story::{PURPOSE, REASON, Story};
use crate::testing::TestBroker;

/// Everything that is logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The forms in which bytes get into texts and files.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![
        secret.to_vec(),
        HEXLOWER.encode(secret).into(),
        HEXUPPER.encode(secret).into(),
        // As `Debug` prints bytes.
        format!("{secret:?}").trim_matches(['[', ']']).into(),
    ];
    if let Ok(text) = std::str::from_utf8(secret) {
        // As JSON and `Debug` write text.
        let json = serde_json::to_string(text).unwrap();
        forms.push(json.trim_matches('"').into());
        forms.push(format!("{text:?}").trim_matches('"').into());
    }
    // Base64 looks different at each of three places within what is encoded; the characters at its
    // ends also depend on what is around.
    for before in 0..3 {
        let padded = [&[0; 2][..before], secret].concat();
        let whole = padded.len() / 3 * 3;
        for text in [
            BASE64.encode(&padded[..whole]),
            BASE64URL_NOPAD.encode(&padded[..whole]),
        ] {
            let from = if before == 0 { 0 } else { 4 };
            forms.push(text.as_bytes()[from..].to_vec());
        }
    }
    forms
}

/// What was searched, by what it is.
struct Places(Vec<(String, Vec<u8>)>);

impl Places {
    fn find(&self, secret: &[u8]) -> Vec<&str> {
        assert!(
            secret.len() >= 20,
            "long enough not to be found by accident"
        );
        let forms = forms(secret);
        let holds = |content: &[u8]| {
            forms.iter().any(|form| {
                let first = form[0];
                content
                    .windows(form.len())
                    .any(|window| window[0] == first && window == form)
            })
        };
        self.0
            .iter()
            .filter(|(_, content)| holds(content))
            .map(|(place, _)| place.as_str())
            .collect()
    }
}

fn chain(error: &crate::Error) -> String {
    let mut text = format!("{error} {error:?} {error:#?}");
    let mut source = error.source();
    while let Some(error) = source {
        let _ = write!(text, " {error} {error:?}");
        source = error.source();
    }
    text
}

#[tokio::test]
async fn no_secret_is_found_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let (file, log) = (
        folder.path().join("store.redb"),
        folder.path().join("audit"),
    );
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(lines.clone())
        .finish();
    // For all threads, the store's and those of other tests among them: more to search.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let story = Story::tell(TestBroker::in_file(&file).await, &log).await;
    let join = |texts: Vec<String>| texts.join("\n").into_bytes();
    let entries = story.entries.iter().map(ToString::to_string).collect();
    let errors: Vec<_> = story.errors.iter().map(chain).collect();
    assert!(errors.len() > 150);
    let places = Places(vec![
        ("the entries".to_owned(), join(entries)),
        ("the log lines".to_owned(), lines.0.lock().unwrap().clone()),
        ("the errors".to_owned(), join(errors)),
        ("the answers".to_owned(), join(story.shown.clone())),
        (
            "the counters".to_owned(),
            format!("{:?}", story.t.broker.metrics()).into(),
        ),
        ("the store".to_owned(), std::fs::read(&file).unwrap()),
    ]);
    assert!(story.secrets.len() > 40);
    for (what, secret) in &story.secrets {
        assert_eq!(places.find(secret), [""; 0], "{what} was found");
    }
    // The search finds what is there: words of people, ids, and hashes of what is secret.
    assert_eq!(
        places.find(PURPOSE.as_bytes()),
        ["the entries", "the answers", "the store"]
    );
    assert_eq!(places.find(REASON.as_bytes()), ["the entries", "the store"]);
    let token = story.secrets.iter().find(|(what, _)| *what == "a token");
    let hash = taskpass_core::secret::Sha256::of(&token.unwrap().1);
    let found = places.find(hash.as_bytes());
    // The credential's record is gone by now, and its page may have been written over.
    assert!(
        found.starts_with(&["the entries", "the answers"]),
        "{found:?}"
    );
    let theft = b"it has ended principal=agent/stranger generation=2";
    assert_eq!(places.find(theft), ["the log lines"]);
    assert_eq!(places.find(b"is not in the task's ceiling"), ["the errors"]);
}

#[test]
fn the_search_knows_a_secret_in_each_form() {
    let secret = b"a secret of thirty-one letters!".as_slice();
    let within = |place: &[u8]| {
        !Places(vec![(String::new(), place.to_vec())])
            .find(secret)
            .is_empty()
    };
    for before in 0..4 {
        for after in 0..4 {
            let whole = [&b"<<<<"[..before], secret, &b">>>>"[..after]].concat();
            assert!(within(&whole));
            assert!(within(BASE64.encode(&whole).as_bytes()));
            assert!(within(BASE64URL_NOPAD.encode(&whole).as_bytes()));
            assert!(within(HEXLOWER.encode(&whole).as_bytes()));
            assert!(within(format!("{whole:?}").as_bytes()));
        }
    }
    assert!(!within(b"a secret of thirty-one letters?"));
}

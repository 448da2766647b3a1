//! A report as one page that needs nothing but itself. The template escapes whatever it is not told to leave: our own style
//! and script, and the charts, which escape their text themselves. Its policy lets a browser run that one script.

use base64::prelude::{BASE64_STANDARD, Engine};
use minijinja::{Environment, syntax::SyntaxConfig, value::Serde};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::{
    Results,
    figures::{self, Section},
    tables::{self, Table},
};
use crate::failure::{Failure, Result};

const PAGE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// Values that the template asks for.
#[derive(Debug, Serialize)]
struct Page {
    style: &'static str,
    script: &'static str,
    style_hash: String,
    script_hash: String,
    version: &'static str,
    summary: Vec<String>,
    sections: Vec<Section>,
    tables: Vec<Table>,
}

/// All of it.
pub fn page(results: &Results) -> Result<String> {
    let page = Page {
        style: STYLE,
        script: SCRIPT,
        style_hash: hash(STYLE),
        script_hash: hash(SCRIPT),
        version: env!("CARGO_PKG_VERSION"),
        summary: results.summary(),
        sections: figures::all(results)?,
        tables: tables::all(results),
    };
    rendered(&page).map_err(|error| Failure::Message(format!("the page: {error}")))
}

fn rendered(page: &Page) -> std::result::Result<String, minijinja::Error> {
    let syntax = SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .build()?;
    let mut environment = Environment::new();
    environment.set_syntax(syntax);
    let template = environment.template_from_named_str("page.html", PAGE)?; // the ending turns escaping on
    template.render(Serde(page))
}

/// As a page's policy names a script.
fn hash(text: &str) -> String {
    format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::sample;

    #[test]
    fn hostile_names_stay_text() {
        const HOSTILE: &str =
            "</title></svg></style><script>alert(1)</script>\"'><img src=x onerror=alert(2)>";
        let mut found = sample::found();
        let report = &mut found.report;
        report.adapter.name = HOSTILE.to_owned();
        report.adapter.driver = HOSTILE.to_owned();
        report.model.name = HOSTILE.to_owned();
        report.measured_at = HOSTILE.to_owned();
        report.measured.rows[0].test = format!("pp{HOSTILE}");
        report.measured.ceilings.read_by = HOSTILE.to_owned();
        report.measured.profile.as_mut().unwrap().decode[0].label = HOSTILE.to_owned();
        found.file = HOSTILE.into();
        let page = page(&Results::of(&[found])).unwrap();
        assert_eq!(page.matches("<script").count(), 1);
        assert_eq!(page.matches("</style>").count(), 1);
        assert!(!page.contains("<img"));
        assert!(page.contains("&lt;script&gt;alert(1)"));
    }

    #[test]
    fn a_page_holds_all_and_allows_one_script() {
        let (one, mut other) = (sample::found(), sample::found());
        other.report.model.weights_xxh3 = "ff".to_owned();
        let page = page(&Results::of(&[one, other])).unwrap();
        assert!(page.contains(&format!("script-src '{}'", hash(SCRIPT))));
        assert!(page.contains(&format!("<script>{SCRIPT}</script>")));
        assert!(page.contains("several models"));
        let outside = |word: &str| {
            page.replace("http://www.w3.org/2000/svg", "")
                .contains(word)
        };
        assert!(!outside("http:") && !outside("https:") && !outside("url(") && !outside("@import"));
        assert!(page.matches("<svg").count() >= 6 && page.matches("<table").count() >= 4);
        assert!(!page.contains(" style=\"")); // the policy would not allow it
    }

    #[test]
    fn the_hash_is_that_of_the_standard() {
        assert_eq!(
            hash(""),
            "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
    }
}

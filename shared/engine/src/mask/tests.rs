use super::*;
use crate::digest::RowMeter;
use crate::error::Result;
use proptest::prelude::*;

fn masking() -> Arc<Masking> {
    Arc::new(Masking::new(&[7; 32]))
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime")
}

fn masked(rules: &[Rule], text: &str, chunk: usize) -> Result<String> {
    let chunks: Vec<Result<Bytes>> = text.as_bytes().chunks(chunk).map(|c| Ok(Bytes::copy_from_slice(c))).collect();
    let rows = masking().apply(rules, Box::pin(stream::iter(chunks)));
    let chunks: Vec<Result<Bytes>> = runtime().block_on(rows.collect());
    let bytes: Vec<u8> = chunks.into_iter().collect::<Result<Vec<_>>>()?.concat();
    Ok(String::from_utf8(bytes).expect("text"))
}

fn one(rule: Rule, value: &str) -> String {
    masked(&[rule], &format!("{value}\n"), 7).expect("masks").trim_end_matches('\n').to_owned()
}

#[test]
fn a_mask_shows_nothing_of_the_value_and_has_its_shape() {
    assert_eq!(one(Rule::Keep, "Ana"), "Ana");
    assert_eq!(one(Rule::Null, "Ana"), "\\N");
    assert_eq!(one(Rule::Null, ""), "\\N");
    for rule in [Rule::Hash, Rule::Name, Rule::Email, Rule::Phone, Rule::Address, Rule::Redact, Rule::Truncate(3)] {
        assert_eq!(one(rule, "\\N"), "\\N", "a null stays null: {rule:?}");
        assert_eq!(one(rule, ""), "", "an empty text stays empty: {rule:?}");
    }
    assert_eq!(one(Rule::Hash, "ana@shop.pe").len(), 32);
    let uuid = one(Rule::Hash, "019ab3c4-5d6e-7f80-9a1b-2c3d4e5f6071");
    assert!(uuid::Uuid::try_parse(&uuid).is_ok() && !uuid.starts_with("019ab3c4"), "{uuid}");
    assert_eq!(one(Rule::Name, "María Quispe").split(' ').count(), 3);
    let email = one(Rule::Email, "ana@shop.pe");
    assert!(email.starts_with("user-") && email.ends_with("@example.com"), "{email}");
    let phone = one(Rule::Phone, "+51 987 654 321");
    assert!(phone.starts_with("+999") && phone[1..].bytes().all(|b| b.is_ascii_digit()), "{phone}");
    assert_eq!(one(Rule::Truncate(3), "M\\tría"), "M\\tr");
    assert_eq!(one(Rule::Truncate(30), "Ana"), "Ana");
    for (value, redacted) in [("a note", "[redacted]"), ("{\"a\": 1}", "{}"), ("[1, 2]", "[]"), ("\\\\x00ff", "\\\\x")]
    {
        assert_eq!(one(Rule::Redact, value), redacted, "{value}");
    }
}

#[test]
fn equal_values_stay_equal_and_another_key_gives_other_masks() {
    assert_eq!(one(Rule::Email, "ana@shop.pe"), one(Rule::Email, "ana@shop.pe"));
    assert_ne!(one(Rule::Email, "ana@shop.pe"), one(Rule::Email, "eva@shop.pe"));
    let other = Arc::new(Masking::new(&[8; 32]));
    assert_ne!(other.mask(Rule::Hash, b"ana"), masking().mask(Rule::Hash, b"ana"));
}

#[test]
fn rows_that_end_within_a_row_or_have_too_many_columns_show_nothing() {
    assert!(masked(&[Rule::Hash, Rule::Keep], "a\tb", 1).is_err());
    assert!(masked(&[Rule::Hash, Rule::Keep], "a\tb\nc", 1).is_err());
    assert_eq!(masked(&[Rule::Null], "a\tsecret\n", 3).expect("masks"), "\\N\t\\N\n");
}

proptest! {
    #[test]
    fn chunks_change_nothing(rows in prop::collection::vec(prop::collection::vec("[a-z\\\\N{}]{0,40}", 3), 0..30), chunk in 1usize..200) {
        let text: String = rows.iter().map(|r| r.join("\t") + "\n").collect();
        let rules = [Rule::Keep, Rule::Email, Rule::Truncate(4)];
        let whole = masked(&rules, &text, 1_000_000).expect("masks");
        prop_assert_eq!(&masked(&rules, &text, chunk).expect("masks"), &whole);
        let mut meter = RowMeter::default();
        meter.write(whole.as_bytes());
        prop_assert_eq!(meter.finish().expect("whole rows").rows, rows.len() as u64);
        for (before, after) in rows.iter().zip(whole.lines()) {
            prop_assert_eq!(&before[0], after.split('\t').next().expect("a column"));
        }
    }
}

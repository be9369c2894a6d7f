use super::*;
use crate::source::TableKind;

fn table(schema: &str, name: &str, columns: &[&str]) -> Table {
    Table {
        schema: schema.to_owned(),
        name: name.to_owned(),
        kind: TableKind::Table,
        oid: 1,
        relfilenode: 1,
        columns: columns.iter().map(|c| (*c).to_owned()).collect(),
        condition: None,
        definition: String::new(),
        blocks: 0,
        bytes_on_disk: 0,
        unplaced: None,
        unsteady: None,
    }
}

fn refusal(mask: TableMask) -> String {
    match mask {
        TableMask::Refused(why) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_table_belongs_to_the_first_class_that_matches_it() {
    let policies = Policies::parse(
        r#"{"classes": [
            {"name": "orders", "match": ["public.orders", "public.order_*"], "every": "6h"},
            {"name": "rest", "match": ["public.*"], "keep": "90d"}
        ]}"#,
    )
    .expect("parses");
    let class = |schema: &str, name: &str| policies.class_of(&table(schema, name, &[])).map(|c| c.name.clone());
    assert_eq!(class("public", "order_items").as_deref(), Some("orders"));
    assert_eq!(class("public", "reorder_"), Some("rest".to_owned()));
    assert_eq!(class("auth", "sessions").as_deref(), Some("supabase-sessions"));
    assert_eq!(class("sales", "orders"), None);
    let orders = policies.class("orders").expect("there");
    assert_eq!(orders.every.map(Span::seconds), Some(21_600));
    let unknown = policies.class("order").expect_err("unknown").to_string();
    assert!(unknown.contains("orders, rest"), "{unknown}");
}

#[test]
fn a_pattern_matches_whole_names() {
    for (pattern, text, matches) in [
        ("public.orders", "public.orders", true),
        ("public.orders", "public.orders2", false),
        ("public.*", "public.", true),
        ("*.orders", "sales.orders", true),
        ("public.*_log", "public.audit_log", true),
        ("public.*_log", "public.audit_log_2", false),
        ("a*b*c", "abbc", true),
        ("a*b*c", "acb", false),
        ("aa*aa", "aaa", false),
        ("*", "anything", true),
    ] {
        assert_eq!(Pattern(pattern.to_owned()).matches(text), matches, "{pattern} {text}");
    }
}

#[test]
fn all_that_is_wrong_in_a_file_is_said_at_once() {
    let error = Policies::parse(
        r#"{"classes": [
            {"name": "all", "match": ["orders"]},
            {"name": "Upper Case", "match": []},
            {"name": "twice", "match": ["a.b"], "exclude": true, "every": "1d"},
            {"name": "twice", "match": ["a.b"], "mask": {"c": {"truncate": 0}}},
            {"name": "supabase-users", "match": ["a.c"]}
        ]}"#,
    )
    .expect_err("refused")
    .to_string();
    for part in [
        "`all`: that name means something else",
        "public.orders",
        "`Upper Case`: a name is",
        "names no table",
        "neither read",
        "two of that name",
        "column `c` is cut to nothing",
        "`supabase-users`: there is a built-in class of that name",
    ] {
        assert!(error.contains(part), "`{part}` is not in: {error}");
    }
    for text in [
        "",
        "{",
        r#"{"class": []}"#,
        r#"{"classes": [{"name": "a", "match": ["a.b"], "mask": {"c": "scramble"}}]}"#,
        r#"{"classes": [{"name": "a", "match": ["a.b"], "every": "1w"}]}"#,
        r#"{"classes": [{"name": "a", "match": ["a.b"], "every": "0h"}]}"#,
        r#"{"classes": [{"name": "a", "match": ["a.b"], "mask": "keep"}]}"#,
    ] {
        assert_eq!(Policies::parse(text).expect_err(text).kind(), crate::error::ErrorKind::Invalid, "{text}");
    }
}

#[test]
fn a_column_that_looks_personal_needs_a_rule_and_so_does_each_column_of_a_class_that_masks() {
    let policies = Policies::parse(
        r#"{"classes": [{"name": "customers", "match": ["public.customers"], "mask": {"id": "keep", "name": "name"}}]}"#,
    )
    .expect("parses");
    let known = table("public", "customers", &["id", "name"]);
    assert_eq!(policies.mask_of(&known), TableMask::Rules(vec![Rule::Keep, Rule::Name]));
    let grown = table("public", "customers", &["id", "name", "note"]);
    assert!(refusal(policies.mask_of(&grown)).contains("class `customers` has no rule for note"));
    let unknown = table("public", "leads", &["id", "Home_Phone", "contact_email"]);
    assert!(refusal(policies.mask_of(&unknown)).contains("Home_Phone, contact_email look personal"));
    let plain = table("public", "products", &["id", "price"]);
    assert_eq!(policies.mask_of(&plain), TableMask::Rules(vec![Rule::Keep; 2]));
    assert_eq!(policies.mask_of(&table("auth", "refresh_tokens", &["token"])), TableMask::LeaveOut);
    let mut pages = table("pg_catalog", "pg_largeobject", &["data"]);
    pages.kind = TableKind::LargeObjectPages;
    assert_eq!(policies.mask_of(&pages), TableMask::LeaveOut);
}

#[test]
fn the_owner_says_what_is_personal() {
    let policies = Policies::parse(r#"{"personal": ["*secret*"]}"#).expect("parses");
    assert_eq!(policies.mask_of(&table("a", "b", &["email"])), TableMask::Rules(vec![Rule::Keep]));
    assert!(refusal(policies.mask_of(&table("a", "b", &["top_secret_x"]))).contains("top_secret_x"));
}

#[test]
fn a_class_of_the_owners_comes_before_the_built_in_ones() {
    let policies = Policies::parse(
        r#"{"classes": [{"name": "users", "match": ["auth.users"], "mask": {"id": "keep", "email": "hash"}}]}"#,
    )
    .expect("parses");
    let users = table("auth", "users", &["id", "email"]);
    assert_eq!(policies.mask_of(&users), TableMask::Rules(vec![Rule::Keep, Rule::Hash]));
    let built_in = Policies::default().mask_of(&users);
    assert_eq!(built_in, TableMask::Rules(vec![Rule::Keep, Rule::Email]));
}

#[test]
fn a_length_of_time_survives_its_text() {
    for text in ["15m", "6h", "30d"] {
        assert_eq!(Span::try_from(text.to_owned()).expect("parses").to_string(), text);
    }
    assert_eq!(Span::try_from("48h".to_owned()).expect("parses").to_string(), "2d");
}

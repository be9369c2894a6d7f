//! The names under which replaced schemas are kept.

/// The longest name of PostgreSQL, in bytes.
const NAME_BYTES_MAX: usize = 63;

/// A schema that is put aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Renaming {
    /// Its name, which the restored one gets.
    pub(super) name: String,
    /// Its name from then on.
    pub(super) aside: String,
}

/// Names for all of them: `<name>_before_<suffix>`, of which a long name keeps its beginning, and a number where two would be the same.
pub(super) fn aside(schemas: &[String], suffix: &str) -> Vec<Renaming> {
    let mut given: Vec<Renaming> = Vec::with_capacity(schemas.len());
    for name in schemas {
        let free = (1u32..).map(|n| match n {
            1 => shortened(name, &format!("_before_{suffix}")),
            n => shortened(name, &format!("_{n}_before_{suffix}")),
        });
        let taken = |aside: &String| given.iter().any(|g| g.aside == *aside) || schemas.contains(aside);
        if let Some(aside) = free.into_iter().find(|aside| !taken(aside)) {
            given.push(Renaming { name: name.clone(), aside });
        }
    }
    given
}

fn shortened(name: &str, end: &str) -> String {
    let room = NAME_BYTES_MAX.saturating_sub(end.len());
    let kept = name.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|at| *at <= room).last();
    format!("{}{end}", &name[..kept.unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(schemas: &[&str]) -> Vec<String> {
        let schemas: Vec<String> = schemas.iter().map(|s| (*s).to_owned()).collect();
        aside(&schemas, "20261124t101500").into_iter().map(|r| r.aside).collect()
    }

    #[test]
    fn a_schema_is_kept_under_its_name_and_the_time() {
        assert_eq!(
            names(&["public", "Gás Rápido"]),
            ["public_before_20261124t101500", "Gás Rápido_before_20261124t101500"]
        );
    }

    #[test]
    fn long_names_are_cut_between_letters_and_stay_different() {
        let long = "é".repeat(31);
        let made = names(&[&format!("{long}a"), &format!("{long}b"), &"x".repeat(63)]);
        assert_eq!(made.len(), 3);
        for name in &made {
            assert!(name.len() <= NAME_BYTES_MAX, "{name} has {} bytes", name.len());
            assert!(name.ends_with("_before_20261124t101500"), "{name}");
        }
        assert_eq!(made[0], format!("{}_before_20261124t101500", "é".repeat(20)));
        assert_eq!(made[1], format!("{}_2_before_20261124t101500", "é".repeat(19)));
        assert_eq!(made[2].len(), NAME_BYTES_MAX);
    }

    #[test]
    fn no_name_is_one_that_is_taken() {
        let made = names(&["a", "a_before_20261124t101500"]);
        assert_eq!(made, ["a_2_before_20261124t101500", "a_before_20261124t101500_before_20261124t101500"]);
    }
}

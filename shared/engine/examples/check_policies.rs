//! Checks a file of policies as the functions do: `make policies FILE=policies.json`.

use engine::policy::{Mask, Policies};
use std::process::ExitCode;

#[allow(clippy::disallowed_methods, reason = "a command reads its arguments")]
fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("policies: name a file");
        return ExitCode::FAILURE;
    };
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) => {
            eprintln!("policies: {path}: {e}");
            return ExitCode::FAILURE;
        }
    };
    match Policies::parse(&text) {
        Ok(policies) => {
            policies.classes().for_each(|class| {
                let every = class.every.map_or_else(|| "every backup".to_owned(), |every| format!("every {every}"));
                let read = if class.exclude { "never read".to_owned() } else { format!("read {every}") };
                let keep = class.keep.map_or_else(String::new, |keep| format!(", kept {keep}"));
                let mask = match &class.mask {
                    None => "as a table without a class",
                    Some(Mask::LeaveOut(_)) => "left out",
                    Some(Mask::Columns(_)) => "masked by its rules",
                };
                println!("{:24} {read}{keep}; where rows are masked: {mask}", class.name);
            });
            ExitCode::SUCCESS
        }
        Err(e) => {
            eprintln!("policies: {path}: {e}");
            ExitCode::FAILURE
        }
    }
}

//! The settings of the API: whom it believes, what it lets people do, and what is expected of the backups.

use super::reader::{Reader, Ruling};
use super::rules;
use engine::environment::Environment;
use url::Url;

const ISSUER_EXAMPLE: &str = "https://abcdefghijklmnopqrst.supabase.co/auth/v1";
/// A consent may be waited for as long as a week.
const APPROVAL_MINUTES_MAX: u32 = 7 * 24 * 60;

/// Who signs tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// `BACKUP_AUTH_ISSUER`: as the tokens name it.
    pub name: String,
    /// `BACKUP_AUTH_KEYS_URL`: where its public keys are; `<issuer>/.well-known/jwks.json` unless it says otherwise.
    pub keys_url: Url,
    /// `BACKUP_AUTH_AUDIENCE`: for whom the tokens are.
    pub audience: String,
}

/// The settings of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiSettings {
    /// Who signs tokens; nobody is let in without.
    pub issuer: Option<Issuer>,
    /// `BACKUP_APPROVAL_MINUTES`: so long a second person may consent to a restore into production; none needs to without.
    pub approval_minutes: Option<u32>,
    /// `BACKUP_WRITES_A_MINUTE`: requests of one person that change anything.
    pub writes_a_minute: u32,
    /// `BACKUP_AGE_MAX_HOURS`: a backup that is older is too old.
    pub backup_age_max_hours: u32,
    /// `BACKUP_DRILL_AGE_MAX_HOURS`: a drill that is older proves nothing any more.
    pub drill_age_max_hours: u32,
    /// `BACKUP_TARGETS`: the environments that have a database to restore into.
    pub targets: Vec<Environment>,
}

pub(super) fn api(r: &mut Reader<'_>) -> ApiSettings {
    let issuer = r.optional("BACKUP_AUTH_ISSUER", ISSUER_EXAMPLE, guarded_url);
    let keys = r.optional("BACKUP_AUTH_KEYS_URL", &format!("{ISSUER_EXAMPLE}/.well-known/jwks.json"), guarded_url);
    let audience = r.or("BACKUP_AUTH_AUDIENCE", "authenticated", "authenticated".to_owned(), rules::source_name);
    let issuer = issuer.and_then(|(name, _)| {
        let own = || guarded_url(&format!("{name}/.well-known/jwks.json")).ok().map(|(_, url)| url);
        Some(Issuer { keys_url: keys.map(|(_, url)| url).or_else(own)?, name, audience })
    });
    let approval = r.or("BACKUP_APPROVAL_MINUTES", "60", 0, |v| rules::number(v, 0..=APPROVAL_MINUTES_MAX));
    ApiSettings {
        issuer,
        approval_minutes: (approval > 0).then_some(approval),
        writes_a_minute: r.or("BACKUP_WRITES_A_MINUTE", "30", 30, |v| rules::number(v, 1..=10_000)),
        backup_age_max_hours: r.or("BACKUP_AGE_MAX_HOURS", "26", 26, |v| rules::number(v, 1..=8_760)),
        drill_age_max_hours: r.or("BACKUP_DRILL_AGE_MAX_HOURS", "50", 50, |v| rules::number(v, 1..=8_760)),
        targets: r.or("BACKUP_TARGETS", "development,staging", Vec::new(), targets),
    }
}

/// As it is written, without a slash at its end; and what it means.
fn guarded_url(value: &str) -> Ruling<(String, Url)> {
    let text = value.trim_end_matches('/');
    let url = Url::parse(text).ok().filter(|url| super::is_guarded(url) && url.query().is_none());
    let url = url.ok_or_else(|| "must be an https:// URL (http:// only on this machine)".to_owned())?;
    Ok((text.to_owned(), url))
}

fn targets(value: &str) -> Ruling<Vec<Environment>> {
    value.split(',').map(|name| name.trim().parse().map_err(|e: engine::error::Error| e.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<ApiSettings, String> {
        let variable = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        let mut r = Reader::new(&variable);
        let settings = api(&mut r);
        r.finish(settings).map_err(|e| e.to_string())
    }

    #[test]
    fn the_keys_are_beside_the_issuer_unless_it_is_said_where() {
        let issuer = |variables: &[(&str, &str)]| read(variables).expect("reads").issuer.expect("an issuer");
        let plain = issuer(&[("BACKUP_AUTH_ISSUER", "https://x.supabase.co/auth/v1/")]);
        assert_eq!(plain.name, "https://x.supabase.co/auth/v1");
        assert_eq!(plain.keys_url.as_str(), "https://x.supabase.co/auth/v1/.well-known/jwks.json");
        assert_eq!(plain.audience, "authenticated");
        let other = issuer(&[
            ("BACKUP_AUTH_ISSUER", "https://x.supabase.co/auth/v1"),
            ("BACKUP_AUTH_KEYS_URL", "http://127.0.0.1:4566/keys/jwks.json"),
        ]);
        assert_eq!(other.keys_url.as_str(), "http://127.0.0.1:4566/keys/jwks.json");
        assert_eq!(read(&[]).expect("reads").issuer, None);
    }

    #[test]
    fn what_is_wrong_is_told_by_its_name() {
        for (name, value) in [
            ("BACKUP_AUTH_ISSUER", "http://example.org/auth/v1"),
            ("BACKUP_AUTH_KEYS_URL", "x"),
            ("BACKUP_APPROVAL_MINUTES", "10081"),
            ("BACKUP_WRITES_A_MINUTE", "0"),
            ("BACKUP_TARGETS", "test"),
        ] {
            let said = read(&[(name, value)]).expect_err(name);
            assert!(said.contains(name), "{said}");
        }
        let right = read(&[("BACKUP_TARGETS", "development,production"), ("BACKUP_APPROVAL_MINUTES", "60")]);
        let right = right.expect("reads");
        assert_eq!((right.targets.len(), right.approval_minutes), (2, Some(60)));
    }
}

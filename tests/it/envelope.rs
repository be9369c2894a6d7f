//! The envelope against AWS's own clients: golden messages of their SDK, and messages in both directions through their
//! command line client, under a multi-region key and its replica.

use crate::local_aws::LocalAws;
use engine::envelope::{Context, DataKey, Decoded, EncryptedDataKey, Header, SealKey, Sealer, Suite, open_all};
use engine::error::{Error, ErrorKind, Result};
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

const FRAME: usize = 64 * 1024;
const LENGTHS: [usize; 7] = [0, 1, FRAME - 1, FRAME, FRAME + 1, 3 * FRAME, 3 * FRAME + 1];
const HOME: &str = "eu-west-1";
const AWAY: &str = "us-east-1";
const CONTEXT: &str = "purpose=rows";

#[test]
fn golden_messages_of_the_aws_sdk_open() {
    let goldens = goldens();
    assert_eq!(goldens.len(), 28, "a golden message stays forever");
    for golden in &goldens {
        let header = header(&golden.message);
        assert_eq!(format!("{:04x}", header.suite.id()), golden.about["suite"], "{}", golden.name);
        assert_eq!(header.frame_bytes.unwrap_or(0).to_string(), golden.about["frame_bytes"], "{}", golden.name);
        assert_eq!(header.edks.len().to_string(), golden.about["wrapped_keys"], "{}", golden.name);
        assert!(
            header.edks.iter().all(|edk| edk.provider_id == "golden" && edk.ciphertext.starts_with(b"placeholder"))
        );
        let clear = header.context.iter().filter(|(key, _)| !key.starts_with("aws-crypto-"));
        assert_eq!(clear.map(|(k, v)| (k.to_owned(), v.to_owned())).collect::<HashMap<_, _>>(), golden.context);
        assert_eq!(header.context.get("aws-crypto-public-key").is_some(), header.suite == Suite::CommittingSigned);
        assert_eq!(golden.open(&golden.message).expect("opens"), unhex(&golden.about["plain"]), "{}", golden.name);
    }
}

#[test]
fn golden_messages_that_were_changed_are_corrupt() {
    for golden in goldens() {
        for at in 0..golden.message.len() {
            let mut changed = golden.message.clone();
            changed[at] ^= 1;
            assert!(golden.open(&changed).is_err(), "{} with byte {at} changed", golden.name);
            let cut = golden.open(&golden.message[..at]);
            assert_eq!(cut.err().map(|e| e.kind()), Some(ErrorKind::Corrupt), "{} cut off at {at}", golden.name);
        }
        assert!(golden.open(&[&golden.message[..], b"\0"].concat()).is_err(), "{} and a byte more", golden.name);
    }
}

#[test]
fn what_we_seal_the_command_line_client_opens_under_the_key_and_its_replica() {
    let aws = LocalAws::start("we-seal");
    let keys = Keys::create(&aws);
    let sealing = keys.seal_key(&aws);
    let sealed = new_folder(&aws, "sealed");
    for (n, length) in LENGTHS.into_iter().enumerate() {
        let mut sealer = Sealer::new(&sealing, [n as u8; 32], FRAME as u32, Vec::new()).expect("begins");
        plain(length).chunks(50_000).for_each(|piece| sealer.write(piece).expect("writes"));
        fs::write(sealed.join(length.to_string()), sealer.finish().expect("finishes")).expect("write the message");
    }
    for arn in [&keys.home, &keys.away] {
        let opened = new_folder(&aws, "opened");
        let output = decrypt(&aws, &sealed, &opened, arn, CONTEXT);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        for length in LENGTHS {
            let back = fs::read(opened.join(format!("{length}.opened"))).expect("the client wrote the file");
            assert!(back == plain(length), "{length} bytes under {arn}");
        }
    }
    // The client says 0 for another context, and writes nothing.
    let opened = new_folder(&aws, "other-context");
    decrypt(&aws, &sealed, &opened, &keys.home, "purpose=schema");
    assert_eq!(files(&opened).len(), 0);
}

#[test]
fn what_the_command_line_client_seals_we_open_under_the_key_and_its_replica() {
    let aws = LocalAws::start("we-open");
    let keys = Keys::create(&aws);
    let plains = new_folder(&aws, "plain");
    for length in LENGTHS {
        fs::write(plains.join(length.to_string()), plain(length)).expect("write the plaintext");
    }
    for (suite, algorithm) in [
        (Suite::Committing, "AES_256_GCM_HKDF_SHA512_COMMIT_KEY"),
        (Suite::CommittingSigned, "AES_256_GCM_HKDF_SHA512_COMMIT_KEY_ECDSA_P384"),
    ] {
        let sealed = new_folder(&aws, algorithm);
        let (from, to, key) = (text(&plains), text(&sealed), format!("key={}", keys.home));
        let frame = FRAME.to_string();
        // The client's cache lets one data key serve all of the messages, as ours do.
        let cache = ["--caching", "capacity=10", "max_age=600"];
        let how = ["--algorithm", algorithm, "--frame-length", &frame, "--suffix", "-S", "-c", CONTEXT];
        let what = ["--encrypt", "-r", "-i", from, "-o", to, "-w", &key];
        aws.run_well("aws-encryption-cli", what.into_iter().chain(cache).chain(how));
        let mut unwrapped = HashMap::new();
        for length in LENGTHS {
            let message = fs::read(sealed.join(length.to_string())).expect("the client wrote the file");
            let header = header(&message);
            assert_eq!((header.suite, header.frame_bytes), (suite, Some(FRAME as u32)));
            assert_eq!((header.context.get("purpose"), header.edks.len()), (Some("rows"), 1));
            assert_eq!(header.edks[0].provider_info, keys.home.as_bytes());
            let key = unwrapped.entry(header.edks[0].ciphertext.clone()).or_insert_with(|| keys.unwrap(&aws, &header));
            let back = open_all(&message, &|_| Ok(DataKey::from_bytes(*key)), length);
            assert!(back.expect("opens") == plain(length), "{length} bytes in {algorithm}");
        }
    }
}

/// A multi-region key, and its replica in another region.
struct Keys {
    home: String,
    away: String,
}

impl Keys {
    fn create(aws: &LocalAws) -> Self {
        let home = aws.aws(HOME, "KeyMetadata.Arn", ["kms", "create-key", "--multi-region"]);
        let replicate = ["kms", "replicate-key", "--key-id", &home, "--replica-region", AWAY];
        let away = aws.aws(HOME, "ReplicaKeyMetadata.Arn", replicate);
        assert!(home.contains(":key/mrk-") && away.contains(AWAY), "{home} {away}");
        Self { home, away }
    }

    fn seal_key(&self, aws: &LocalAws) -> SealKey {
        let args = ["kms", "generate-data-key", "--key-id", &self.home, "--key-spec", "AES_256"];
        let answer = aws.aws(
            HOME,
            "[Plaintext, CiphertextBlob, KeyId]",
            args.into_iter().chain(["--encryption-context", CONTEXT]),
        );
        let [plaintext, ciphertext, arn] = answer.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("not three fields")
        };
        let edk = EncryptedDataKey {
            provider_id: "aws-kms".to_owned(),
            provider_info: arn.as_bytes().to_vec(),
            ciphertext: unbase64(ciphertext),
        };
        let context = Context::new([CONTEXT.split_once('=').expect("a pair")]).expect("a good context");
        SealKey::new(data_key(plaintext), vec![edk], context).expect("a good key")
    }

    /// Unwraps a message's data key in both regions.
    fn unwrap(&self, aws: &LocalAws, header: &Header) -> [u8; 32] {
        let file = aws.folder().join("wrapped");
        fs::write(&file, &header.edks[0].ciphertext).expect("write the wrapped key");
        let file = format!("fileb://{}", text(&file));
        let context: Vec<_> = header.context.iter().map(|(key, value)| format!("\"{key}\":\"{value}\"")).collect();
        let context = format!("{{{}}}", context.join(","));
        let [home, away] = [(HOME, &self.home), (AWAY, &self.away)].map(|(region, arn)| {
            let args =
                ["kms", "decrypt", "--key-id", arn, "--ciphertext-blob", &file, "--encryption-context", &context];
            unbase64(&aws.aws(region, "Plaintext", args))
        });
        assert!(home == away, "a replica unwraps what its primary wrapped");
        home.try_into().expect("32 bytes")
    }
}

fn decrypt(aws: &LocalAws, from: &Path, to: &Path, arn: &str, context: &str) -> std::process::Output {
    let (from, to, key) = (text(from), text(to), format!("key={arn}"));
    let what = ["--decrypt", "-r", "-i", from, "-o", to, "-w", &key];
    aws.run("aws-encryption-cli", what.into_iter().chain(["--suffix", ".opened", "-S", "-c", context]))
}

struct Golden {
    name: String,
    message: Vec<u8>,
    about: HashMap<String, String>,
    context: HashMap<String, String>,
}

impl Golden {
    fn open(&self, message: &[u8]) -> Result<Vec<u8>> {
        let key = unhex(&self.about["data_key"]);
        let key =
            |_: &Header| key.as_slice().try_into().map(DataKey::from_bytes).map_err(|_| Error::invalid("not 32 bytes"));
        open_all(message, &key, 1 << 20)
    }
}

/// Golden messages and what their JSON files say. Every value in those is a string on a line of its own, and only the
/// context is nested: enough of JSON for this test.
fn goldens() -> Vec<Golden> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/v1/envelope");
    let messages = files(&folder).into_iter().filter(|file| file.extension().is_some_and(|end| end == "message"));
    messages
        .map(|file| {
            let json = fs::read_to_string(file.with_extension("json")).expect("read what the message is");
            let pairs = |indent: &str| {
                let lines = json.lines().filter_map(|line| line.strip_prefix(indent)?.strip_prefix('"'));
                let pairs = lines.filter_map(|line| line.trim_end_matches(',').strip_suffix('"')?.split_once("\": \""));
                pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
            };
            Golden {
                name: text(&file).to_owned(),
                message: fs::read(&file).expect("read the message"),
                about: pairs("  "),
                context: pairs("    "),
            }
        })
        .collect()
}

fn header(message: &[u8]) -> Header {
    match Header::decode(message) {
        Ok(Decoded::Header(header, _)) => header,
        other => panic!("not a header: {other:?}"),
    }
}

fn plain(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 7 + n / 256 * 3) as u8).collect()
}

fn data_key(base64: &str) -> DataKey {
    DataKey::from_bytes(unbase64(base64).try_into().expect("32 bytes"))
}

fn unbase64(text: &str) -> Vec<u8> {
    const DIGITS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut held, mut bytes) = (0u32, 0, Vec::new());
    for digit in text.trim_end_matches('=').chars() {
        bits = (bits << 6 | DIGITS.find(digit).expect("a base64 digit") as u32) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
        }
    }
    bytes
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("two hexadecimal digits");
    (0..text.len()).step_by(2).map(digit).collect()
}

fn new_folder(aws: &LocalAws, name: &str) -> PathBuf {
    let folder = aws.folder().join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir(&folder).expect("create a folder");
    folder
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("list a folder");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("list a folder").path()).collect();
    files.sort();
    files
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

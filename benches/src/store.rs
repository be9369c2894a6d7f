//! A local S3 over HTTP, in a process of its own: `s3s-fs`, and the one answer that it lacks.

use crate::Result;
use crate::measure::worked_s;
use crate::options::Place;
use crate::product::{BUCKETS, CREDENTIAL};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::dto::{
    BucketVersioningStatus, GetBucketVersioningInput, GetBucketVersioningOutput, GetObjectInput, GetObjectOutput,
    HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput, ListObjectsV2Input, ListObjectsV2Output,
    PutObjectInput, PutObjectOutput,
};
use s3s::service::S3ServiceBuilder;
use s3s::{S3, S3Request, S3Response, S3Result};
use s3s_fs::FileSystem;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// A running store. Ends with its guard.
pub(crate) struct Store {
    process: Child,
    folder: PathBuf,
    pub(crate) endpoint: String,
}

impl Store {
    pub(crate) fn start(place: &Place) -> Result<Self> {
        let folder = place.out.join("s3");
        let mut process = Command::new(std::env::current_exe()?)
            .arg("s3")
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = String::new();
        if let Some(out) = process.stdout.take() {
            BufReader::new(out).read_line(&mut said)?;
        }
        let store = Self { process, folder, endpoint: said.trim().to_owned() };
        store.empty()?;
        match store.endpoint.is_empty() {
            true => Err("the S3 server did not start".into()),
            false => Ok(store),
        }
    }

    /// Empties the buckets.
    pub(crate) fn empty(&self) -> Result<()> {
        for bucket in BUCKETS {
            let folder = self.folder.join(bucket);
            if folder.exists() {
                std::fs::remove_dir_all(&folder)?;
            }
            std::fs::create_dir_all(&folder)?;
        }
        Ok(())
    }

    /// Seconds of work.
    pub(crate) fn worked_s(&self) -> f64 {
        worked_s(&self.process.id().to_string())
    }

    /// The bytes of all objects.
    pub(crate) fn bytes(&self) -> Result<u64> {
        BUCKETS.iter().map(|bucket| bytes_below(&self.folder.join(bucket))).sum()
    }
}

/// The bytes of all files of a folder and of those in it.
pub(crate) fn bytes_below(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        bytes += match entry.file_type()?.is_dir() {
            true => bytes_below(&entry.path())?,
            false => entry.metadata()?.len(),
        };
    }
    Ok(bytes)
}

impl Drop for Store {
    fn drop(&mut self) {
        // It ends when its input does.
        drop(self.process.stdin.take());
        if let Err(e) = self.process.wait().and_then(|_| std::fs::remove_dir_all(&self.folder)) {
            eprintln!("bench: could not end the S3 server: {e}");
        }
    }
}

/// `bench s3 FOLDER`: says where it listens, and serves until its input ends.
pub(crate) async fn serve(arguments: &[String]) -> Result<()> {
    let folder = PathBuf::from(arguments.first().ok_or("usage: bench s3 FOLDER")?);
    std::fs::create_dir_all(&folder)?;
    let files = FileSystem::new(folder).map_err(|e| format!("the S3 server's folder: {e:?}"))?;
    let mut service = S3ServiceBuilder::new(Versioned(files));
    service.set_auth(SimpleAuth::from_single(CREDENTIAL, CREDENTIAL));
    let service = service.build();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("http://{}", listener.local_addr()?);
    let (mut input, mut byte) = (tokio::io::stdin(), [0]);
    let mut ended = std::pin::pin!(input.read(&mut byte));
    loop {
        let socket = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            _ = &mut ended => std::process::exit(0),
        };
        // Or the last bytes of an answer would wait for the client's acknowledgement.
        socket.set_nodelay(true)?;
        let service = service.clone();
        tokio::spawn(async move {
            // A client that goes away is no failure of the server.
            let _ = Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await;
        });
    }
}

/// The file system, whose buckets say that they are versioned: no object is ever written twice.
struct Versioned(FileSystem);

#[async_trait::async_trait]
impl S3 for Versioned {
    async fn get_bucket_versioning(
        &self,
        _: S3Request<GetBucketVersioningInput>,
    ) -> S3Result<S3Response<GetBucketVersioningOutput>> {
        let status = Some(BucketVersioningStatus::from_static(BucketVersioningStatus::ENABLED));
        Ok(S3Response::new(GetBucketVersioningOutput { status, ..Default::default() }))
    }

    async fn head_bucket(&self, r: S3Request<HeadBucketInput>) -> S3Result<S3Response<HeadBucketOutput>> {
        self.0.head_bucket(r).await
    }

    async fn head_object(&self, r: S3Request<HeadObjectInput>) -> S3Result<S3Response<HeadObjectOutput>> {
        self.0.head_object(r).await
    }

    async fn get_object(&self, r: S3Request<GetObjectInput>) -> S3Result<S3Response<GetObjectOutput>> {
        self.0.get_object(r).await
    }

    async fn put_object(&self, r: S3Request<PutObjectInput>) -> S3Result<S3Response<PutObjectOutput>> {
        self.0.put_object(r).await
    }

    async fn list_objects_v2(&self, r: S3Request<ListObjectsV2Input>) -> S3Result<S3Response<ListObjectsV2Output>> {
        self.0.list_objects_v2(r).await
    }
}

//! Bodies of requests, given to the connection in small frames.
//!
//! An HTTP/1 connection that cannot write several buffers at once may copy each frame into a buffer of its own, and keep
//! that for as long as it is pooled. A pack as one frame would so be twice in memory.

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

const FRAME_BYTES: usize = 256 * 1024;

/// Bytes as the body of a request, which may be sent again.
pub(crate) fn body(bytes: Bytes) -> ByteStream {
    ByteStream::new(SdkBody::retryable(move || SdkBody::from_body_1_x(Frames(bytes.clone()))))
}

/// What is left to be sent.
struct Frames(Bytes);

impl Body for Frames {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let length = self.0.len().min(FRAME_BYTES);
        let frame = self.0.split_to(length);
        Poll::Ready((length > 0).then_some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_byte_comes_in_its_place_again_and_again() {
        for length in [0, 1, FRAME_BYTES - 1, FRAME_BYTES, 3 * FRAME_BYTES + 7] {
            let bytes: Bytes = (0..length).map(|i| (i ^ (i >> 8)) as u8).collect();
            let stream = body(bytes.clone());
            assert_eq!(stream.size_hint(), (length as u64, Some(length as u64)));
            let again = stream.into_inner().try_clone().expect("may be sent again");
            let collected = ByteStream::new(again).collect().await.expect("collects").into_bytes();
            assert!(collected == bytes, "{length} bytes");
        }
    }
}

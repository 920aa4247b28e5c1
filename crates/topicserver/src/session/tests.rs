//! What a session takes, and when it is read.

use std::sync::Arc;
use std::task::Waker;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream, unix};

use super::*;
use crate::access::{Access, Audit};
use crate::clock::Clock;
use crate::outbox::Outbox;
use crate::outbox::transport::{TcpWriter, UnixWriter};
use crate::peer;
use crate::queues::{Kind, QueueLimits, Queued};
use crate::state::{Kept, ServeHttp, ServerState, Serving};

/// An HTTP service that does nothing.
struct NoHttp;

impl ServeHttp for NoHttp {
    fn serve(self: Arc<Self>, _: Handover) -> Serving {
        Box::pin(std::future::ready(()))
    }

    fn follow(&self, _: &Config) {}
}

/// A session in a server with these limits, whose peer sends nothing.
async fn session(config: Config) -> Session<OwnedReadHalf> {
    session_and_peer(config).await.0
}

async fn session_and_peer(config: Config) -> (Session<OwnedReadHalf>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (reader, writer) = TcpStream::connect(address).await.unwrap().into_split();
    let (peer, _) = listener.accept().await.unwrap();
    let guard = state(config).admit(address).unwrap();
    let limits = QueueLimits::of_one(1000);
    let outbox = Arc::new(Outbox::new(TcpWriter::new(writer), address, limits));
    (Session::new(reader, outbox, guard), peer)
}

/// The same over a UNIX socket.
fn local_session() -> Session<unix::OwnedReadHalf> {
    let (stream, _) = UnixStream::pair().unwrap();
    let (reader, writer) = stream.into_split();
    let peer = peer::of_user(1000);
    let guard = state(Config::default()).admit(peer).unwrap();
    let limits = QueueLimits::of_one(1000);
    let outbox = Arc::new(Outbox::new(UnixWriter::new(writer), peer, limits));
    Session::new(reader, outbox, guard)
}

fn state(config: Config) -> Arc<ServerState> {
    let clock = Clock::for_tests();
    let access = Access::open(None, Audit::default());
    let http = Arc::new(NoHttp);
    ServerState::new(config, Kept::default(), None, http, clock, access).unwrap()
}

/// With 144 bytes tokio's task takes 256; with one word more it would take
/// 384, because it is aligned to 128. That is what an idle connection costs.
#[cfg(target_pointer_width = "64")]
#[tokio::test]
async fn an_idle_session_fits_in_a_small_task() {
    let session = session(Config::default()).await.enter();
    assert!(size_of_val(&session) <= 144, "{}", size_of_val(&session));
    let session = local_session().enter_private();
    assert!(size_of_val(&session) <= 144, "{}", size_of_val(&session));
}

#[tokio::test]
async fn nobody_is_read_while_the_mailboxes_of_all_topics_are_full() {
    let config = Config {
        max_queued: 40_000,
        ..Config::default()
    };
    let mut session = session(config).await;
    let queues = session.handler.state().queue_limits().clone();
    let mut mailboxes = Queued::new(queues, Kind::Mailbox);
    mailboxes.add(9_999);
    let mut cx = Context::from_waker(Waker::noop());
    assert!(session.handler.poll_room(&mut cx).is_ready());
    mailboxes.add(1);
    assert!(session.handler.poll_room(&mut cx).is_pending());
    drop(mailboxes);
    std::future::poll_fn(|cx| session.handler.poll_room(cx)).await;
}

/// A topic may be behind, or wait for its disk.
#[tokio::test]
async fn a_peer_is_not_cut_off_for_what_the_server_has_not_sent_yet() {
    let (mut session, mut peer) = session_and_peer(Config::default()).await;
    peer.shutdown().await.unwrap();
    let timeout = Duration::from_millis(1);
    let closing = async move {
        let last = Some(Bytes::from_static(b"all there was"));
        let delivered = tokio::time::sleep(20 * timeout);
        let (reader, handler) = (session.reader, &mut session.handler);
        close::lingering_close(reader, handler, delivered, last, timeout).await;
    };
    let mut answer = Vec::new();
    let (_, read) = tokio::join!(closing, peer.read_to_end(&mut answer));
    read.unwrap();
    assert_eq!(answer, b"all there was");
}

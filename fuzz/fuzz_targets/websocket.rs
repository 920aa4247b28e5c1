//! Any bytes as WebSocket frames: what comes of them doesn't depend on how they are cut.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: (u8, &[u8])| {
    topicserver::fuzzing::websocket(data.1, usize::from(data.0));
});

//! Any bytes as the head of an HTTP request, as far as the server itself reads it: who may
//! ask, what is wanted, and from where on.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Request::new(&mut headers);
    let Ok(httparse::Status::Complete(_)) = head.parse(data) else {
        return;
    };
    let mut request = http::Request::builder()
        .method(head.method.unwrap_or_default())
        .uri(head.path.unwrap_or_default());
    for header in head.headers {
        request = request.header(header.name, header.value);
    }
    if let Ok(request) = request.body(()) {
        topicserver::fuzzing::http_head(&request);
    }
});

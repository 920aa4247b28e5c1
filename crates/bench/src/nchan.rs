//! nginx with nchan: where its module is, and how nginx is told to serve it.

use std::path::Path;

/// Where Debian puts the module.
const MODULE: &str = "/usr/lib/nginx/modules/ngx_nchan_module.so";

/// Whether it is there.
pub(crate) fn is_installed() -> bool {
    Path::new(MODULE).is_file()
}

/// One process, which is the one that is measured, with everything that it writes in
/// `scratch`.
pub(crate) fn configuration(port: &str, scratch: &Path) -> String {
    let scratch = scratch.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {scratch}/{kind};\n"))
        .collect();
    format!(
        "daemon off;\nmaster_process off;\npid {scratch}/nginx.pid;\n\
         error_log stderr error;\nload_module {MODULE};\nworker_rlimit_nofile 20000;\n\
         events {{ worker_connections 19000; }}\n\
         http {{\naccess_log off;\n{temporary}\
         nchan_shared_memory_size 512M;\n\
         server {{\nlisten 127.0.0.1:{port} backlog=4096;\nkeepalive_requests 1000000000;\n\
         location /pub {{ nchan_publisher; nchan_channel_id $arg_t;\n\
         nchan_message_buffer_length 1000; }}\n\
         location /sub {{ nchan_subscriber; nchan_channel_id $arg_t;\n\
         nchan_subscriber_first_message newest; }}\n}}\n}}\n"
    )
}

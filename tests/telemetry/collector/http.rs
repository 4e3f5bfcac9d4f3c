//! OTLP over HTTP.

use std::io::{BufRead, BufReader, Read, Result, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

use super::{HEADERS, Inbox};

pub(super) fn serve(listener: &TcpListener, inbox: &Arc<Inbox>) {
    for stream in listener.incoming().map_while(Result::ok) {
        let inbox = inbox.clone();
        // A connection that ends in the middle of a request is the exporter's end, not a failure.
        std::thread::spawn(move || answer(stream, &inbox));
    }
}

fn answer(stream: TcpStream, inbox: &Inbox) -> Result<()> {
    let (mut reader, mut writer) = (BufReader::new(stream.try_clone()?), stream);
    while let Some((head, body)) = request(&mut reader)? {
        let kept = |name: &str| HEADERS.contains(&name);
        let mut headers = head.iter().filter_map(|line| line.split_once(": "));
        let header = headers.find_map(|(name, value)| kept(name).then_some(value));
        let request = ExportTraceServiceRequest::decode(&*body).expect("the body is an OTLP request");
        let status = if inbox.take(header, request) {
            "200 OK"
        } else {
            "403 Forbidden"
        };
        // An empty body is an empty ExportTraceServiceResponse.
        write!(
            writer,
            "HTTP/1.1 {status}\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
        )?;
    }
    Ok(())
}

/// The lines and the body of the next request of the connection.
fn request(reader: &mut BufReader<TcpStream>) -> Result<Option<(Vec<String>, Vec<u8>)>> {
    let (mut head, mut length) = (Vec::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        let line = match line.split_once(':') {
            Some((name, value)) => format!("{}:{value}", name.to_ascii_lowercase()),
            None => line.to_owned(),
        };
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number of bytes");
        }
        head.push(line);
    }
    assert_eq!(head[0], "POST /v1/traces HTTP/1.1");
    assert!(
        head.contains(&"content-type: application/x-protobuf".to_owned()),
        "{head:?}"
    );
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    Ok(Some((head, body)))
}

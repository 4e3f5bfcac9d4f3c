//! OTLP over gRPC.

use std::net::TcpListener;
use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{TraceService, TraceServiceServer};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use tonic::codec::CompressionEncoding;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use super::{HEADERS, Inbox};

pub(super) fn serve(listener: TcpListener, inbox: Arc<Inbox>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        listener.set_nonblocking(true).unwrap();
        let incoming = TcpIncoming::from(tokio::net::TcpListener::from_std(listener).unwrap());
        let service = TraceServiceServer::new(Receiver(inbox)).accept_compressed(CompressionEncoding::Gzip);
        Server::builder().serve_with_incoming(service, incoming).await.unwrap();
    });
}

struct Receiver(Arc<Inbox>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let header = HEADERS.iter().find_map(|name| request.metadata().get(*name));
        let header = header.map(|value| value.to_str().unwrap().to_owned());
        // Whoever waits here has the runtime for itself: the tests have one exporter per collector.
        if self.0.take(header.as_deref(), request.into_inner()) {
            Ok(Response::new(ExportTraceServiceResponse::default()))
        } else {
            Err(Status::permission_denied("not allowed here"))
        }
    }
}

//! Takes spans over OTLP, and shows them.

use std::error::Error;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Extracted;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use otlp_embedded::proto::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use otlp_embedded::proto::common::v1::{AnyValue, KeyValue, any_value::Value};
use otlp_embedded::proto::trace::v1::Span;
use otlp_embedded::proto::trace::v1::span::SpanKind;
use otlp_embedded::proto::trace::v1::status::StatusCode as SpanStatus;
use otlp_embedded::{Config, State, TraceService, TraceServiceImpl, TraceServiceServer, ui_app};
use prost::Message;
use tokio::net::TcpListener;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// The newest traces are kept. Their number is the only limit: with a limit of bytes the crate kept no trace at all once it had been reached.
const TRACES: u32 = 10_000;

/// Serves until one of the listeners fails.
pub(crate) async fn serve(ui: TcpListener, grpc: TcpListener, http: TcpListener) -> Result<(), Box<dyn Error>> {
    let state = State::new(Config {
        max_length: TRACES,
        max_memory_usage: usize::MAX,
    });
    let receiver = Receiver(Arc::new(TraceServiceImpl::new(state.clone())));
    let over_http = Router::new()
        .route("/v1/traces", post(take))
        .with_state(receiver.clone());
    let over_grpc = Server::builder().serve_with_incoming(TraceServiceServer::new(receiver), TcpIncoming::from(grpc));
    tokio::select! {
        ended = axum::serve(ui, ui_app(state, "/")) => ended?,
        ended = axum::serve(http, over_http) => ended?,
        ended = over_grpc => ended?,
    }
    Ok(())
}

#[derive(Clone)]
struct Receiver(Arc<TraceServiceImpl>);

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        mut request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let of_scopes = request
            .get_mut()
            .resource_spans
            .iter_mut()
            .flat_map(|of| &mut of.scope_spans);
        of_scopes.flat_map(|of| &mut of.spans).for_each(annotate);
        self.0.export(request).await
    }
}

/// OTLP over HTTP.
async fn take(Extracted(receiver): Extracted<Receiver>, body: Bytes) -> Result<(HeaderMap, Vec<u8>), StatusCode> {
    let request = ExportTraceServiceRequest::decode(body).map_err(|_| StatusCode::BAD_REQUEST)?;
    let answer = receiver.export(Request::new(request)).await;
    let answer = answer.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)?;
    let of_protobuf = (
        header::CONTENT_TYPE,
        header::HeaderValue::from_static("application/x-protobuf"),
    );
    Ok((HeaderMap::from_iter([of_protobuf]), answer.into_inner().encode_to_vec()))
}

/// Says as tags what Jaeger's UI looks for there: the kind of a span, and whether it failed.
fn annotate(span: &mut Span) {
    let mut tag = |key: &str, value: Value| {
        let value = Some(AnyValue { value: Some(value) });
        span.attributes.push(KeyValue { key: key.into(), value });
    };
    let kind = match SpanKind::try_from(span.kind) {
        Ok(SpanKind::Consumer) => "consumer",
        Ok(SpanKind::Producer) => "producer",
        Ok(SpanKind::Client) => "client",
        Ok(SpanKind::Server) => "server",
        _ => "internal",
    };
    tag("span.kind", Value::StringValue(kind.into()));
    if let Some(status) = span.status.as_ref().filter(|status| status.code() == SpanStatus::Error) {
        tag("error", Value::BoolValue(true));
        tag("otel.status_description", Value::StringValue(status.message.clone()));
    }
}

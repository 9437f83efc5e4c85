//! The names and labels that operators' dashboards rely on.

use super::{
    Answered, AuditFigures, CacheFigures, ConnectionFigures, KeyFigures, Metrics, MigrationFigures, PoolFigures,
    method_label,
};

#[test]
fn request_histogram_has_the_names_of_the_conventions() {
    let metrics = Metrics::new().unwrap();
    let read = Answered {
        method: "GET",
        status: 200,
        route: Some("/t/{tenant}/fhir/Patient/{id}"),
        interaction: Some("read"),
        seconds: 0.004,
    };

    metrics.answered(&read);
    metrics.answered(&Answered { status: 404, route: None, interaction: None, seconds: 0.3, ..read });
    let page = metrics.render().unwrap();

    let expected = [
        "# TYPE http_server_request_duration_seconds histogram",
        r#"http_server_request_duration_seconds_count{fhir_interaction="read",http_request_method="GET",http_response_status_code="200",http_route="/t/{tenant}/fhir/Patient/{id}"} 1"#,
        r#"http_server_request_duration_seconds_bucket{http_request_method="GET",http_response_status_code="404",le="0.5"} 1"#,
    ];
    for line in expected {
        assert!(page.contains(line), "{line} is not in\n{page}");
    }
}

#[test]
fn observed_figures_are_read_when_the_page_is_asked_for() {
    let metrics = Metrics::new().unwrap();
    metrics.observe_pool(|| {
        Some(PoolFigures { used: 3, idle: 9, max: 12, waiting: 2, hits: 70, ..PoolFigures::default() })
    });
    metrics.observe_keys(|| Some(KeyFigures { issuers: 2, failed: 1, oldest_seconds: 40, ..KeyFigures::default() }));
    metrics.observe_token_cache(|| Some(CacheFigures { entries: 5, hits: 40, misses: 6 }));
    metrics.observe_connections(|| Some(ConnectionFigures { malformed: 3, ..ConnectionFigures::default() }));
    metrics.observe_migrations(|| Some(MigrationFigures { current: 200, ..MigrationFigures::default() }));
    metrics.observe_audit(|| Some(AuditFigures { written: 8, recovered: 1, ..AuditFigures::default() }));

    let page = metrics.render().unwrap();

    let expected = [
        r#"db_client_connection_count{state="used"} 3"#,
        r#"db_client_connection_count{state="idle"} 9"#,
        r#"vitals_pool_checkouts_total{result="bound"} 70"#,
        "vitals_pool_foreign_rows_total 0",
        "vitals_jwks_issuers 2",
        r#"vitals_jwks_fetches_total{result="failed"} 1"#,
        "vitals_jwks_oldest_seconds 40",
        "vitals_token_cache_entries 5",
        r#"vitals_token_cache_lookups_total{result="hit"} 40"#,
        r#"vitals_token_cache_lookups_total{result="miss"} 6"#,
        r#"vitals_connection_failures_total{reason="malformed"} 3"#,
        "db_client_connection_max 12",
        "db_client_connection_pending_requests 2",
        r#"vitals_migration_tenants{state="current"} 200"#,
        "vitals_audit_records_total 8",
        "vitals_audit_refused_total 0",
        "vitals_audit_recovered_total 1",
    ];
    for line in expected {
        assert!(page.lines().any(|shown| shown == line), "{line} is not in\n{page}");
    }
}

#[test]
fn what_cannot_be_read_is_left_out_of_the_page() {
    let metrics = Metrics::new().unwrap();
    metrics.observe_keys(|| Some(KeyFigures::default()));
    metrics.observe_migrations(|| None);

    let page = metrics.render().unwrap();

    assert!(page.contains("vitals_jwks_issuers 0"), "{page}");
    assert!(!page.contains("vitals_migration_tenants{"), "{page}");
}

#[test]
fn callers_cannot_make_labels() {
    for (method, label) in
        [("GET", "GET"), ("DELETE", "DELETE"), ("get", "_OTHER"), ("PROPFIND", "_OTHER"), ("", "_OTHER")]
    {
        assert_eq!(method_label(method), label);
    }
}

//! Programs that must not compile, each beside a twin that differs in one line and does.
//!
//! The walls are crates: these programs stand outside of them, as a server's code does. The twin shows that it is the
//! wall that refuses, not a slip of the pen.

/// An `Access` cannot be made from parts: only the verifier and a stored job make one.
///
/// ```compile_fail
/// use std::sync::Arc;
/// use vitals_access::{access::Access, tenant::Tenant};
/// fn caller(tenant: Arc<Tenant>, given: Access) -> Access {
///     Access { tenant, ..given }
/// }
/// ```
///
/// ```
/// use std::sync::Arc;
/// use vitals_access::{access::Access, tenant::Tenant};
/// fn caller(tenant: Arc<Tenant>, given: Access) -> Access {
///     given
/// }
/// ```
pub const FORGE_AN_ACCESS: () = ();

/// A tenant's connection opens for a verified caller, not for a name.
///
/// ```compile_fail
/// use vitals_access::access::Access;
/// use vitals_store::pool::TenantPool;
/// async fn open(pool: &TenantPool, access: &Access) {
///     let _ = pool.read("north").await;
/// }
/// ```
///
/// ```
/// use vitals_access::access::Access;
/// use vitals_store::pool::TenantPool;
/// async fn open(pool: &TenantPool, access: &Access) {
///     let _ = pool.read(access).await;
/// }
/// ```
pub const OPEN_A_TENANT_BY_NAME: () = ();

/// A view for reading has no insert.
///
/// ```compile_fail
/// use vitals_fhir::{index::ObservationIndex, interaction::{Create, Read}, resource::{Id, Observation}};
/// use vitals_store::{rows::Outbox, tenant::TenantRead};
/// async fn write(tenant: &mut TenantRead<'_>, id: &Id<Observation>, index: &ObservationIndex, outbox: &Outbox) {
///     let Ok(mut rows) = tenant.allow::<Observation, Read>() else { return };
///     let _ = rows.insert(id, index, 0, String::new(), outbox).await;
/// }
/// ```
///
/// ```
/// use vitals_fhir::{index::ObservationIndex, interaction::{Create, Read}, resource::{Id, Observation}};
/// use vitals_store::{rows::Outbox, tenant::TenantRead};
/// async fn write(tenant: &mut TenantRead<'_>, id: &Id<Observation>, index: &ObservationIndex, outbox: &Outbox) {
///     let Ok(mut rows) = tenant.allow::<Observation, Create>() else { return };
///     let _ = rows.insert(id, index, 0, String::new(), outbox).await;
/// }
/// ```
pub const INSERT_THROUGH_A_READ_VIEW: () = ();

/// A view of Patients does not take the id of an Observation.
///
/// ```compile_fail
/// use vitals_fhir::{interaction::Read, resource::{Id, Observation, Patient}};
/// use vitals_store::tenant::TenantRead;
/// async fn read(tenant: &mut TenantRead<'_>, patient: &Id<Patient>, observation: &Id<Observation>) {
///     let Ok(mut rows) = tenant.allow::<Patient, Read>() else { return };
///     let _ = rows.get(observation).await;
/// }
/// ```
///
/// ```
/// use vitals_fhir::{interaction::Read, resource::{Id, Observation, Patient}};
/// use vitals_store::tenant::TenantRead;
/// async fn read(tenant: &mut TenantRead<'_>, patient: &Id<Patient>, observation: &Id<Observation>) {
///     let Ok(mut rows) = tenant.allow::<Patient, Read>() else { return };
///     let _ = rows.get(patient).await;
/// }
/// ```
pub const ASK_PATIENTS_FOR_OBSERVATIONS: () = ();

/// The connection under a view is out of reach.
///
/// ```compile_fail
/// use vitals_fhir::{interaction::Read, resource::{Id, Patient}};
/// use vitals_store::rows::Rows;
/// async fn reach(rows: &mut Rows<'_, Patient, Read>, id: &Id<Patient>) {
///     let _ = &mut rows.lease;
/// }
/// ```
///
/// ```
/// use vitals_fhir::{interaction::Read, resource::{Id, Patient}};
/// use vitals_store::rows::Rows;
/// async fn reach(rows: &mut Rows<'_, Patient, Read>, id: &Id<Patient>) {
///     let _ = rows.get(id).await;
/// }
/// ```
pub const TOUCH_THE_RAW_CONNECTION: () = ();

/// A view does not outlive its transaction.
///
/// ```compile_fail
/// use vitals_fhir::{interaction::Read, resource::{Id, Patient}};
/// use vitals_store::tenant::TenantTx;
/// async fn late(mut tx: TenantTx<'_>, id: &Id<Patient>) {
///     let Ok(mut rows) = tx.allow::<Patient, Read>() else { return };
///     let _ = tx.commit().await; let _ = rows.get(id).await;
/// }
/// ```
///
/// ```
/// use vitals_fhir::{interaction::Read, resource::{Id, Patient}};
/// use vitals_store::tenant::TenantTx;
/// async fn late(mut tx: TenantTx<'_>, id: &Id<Patient>) {
///     let Ok(mut rows) = tx.allow::<Patient, Read>() else { return };
///     let _ = rows.get(id).await; let _ = tx.commit().await;
/// }
/// ```
pub const USE_ROWS_AFTER_COMMIT: () = ();

/// What a view lets its caller see cannot be changed from outside.
///
/// ```compile_fail
/// use vitals_access::predicate::Visible;
/// use vitals_fhir::{interaction::Read, resource::{Id, Patient}};
/// use vitals_store::rows::Rows;
/// async fn widen(rows: &mut Rows<'_, Patient, Read>, id: &Id<Patient>) {
///     let everything = Visible::Everything;
///     rows.visible = everything; let _ = rows.get(id).await;
/// }
/// ```
///
/// ```
/// use vitals_access::predicate::Visible;
/// use vitals_fhir::{interaction::Read, resource::{Id, Patient}};
/// use vitals_store::rows::Rows;
/// async fn widen(rows: &mut Rows<'_, Patient, Read>, id: &Id<Patient>) {
///     let everything = Visible::Everything;
///     drop(everything); let _ = rows.get(id).await;
/// }
/// ```
pub const WIDEN_A_VIEW: () = ();

/// A search is a typed query, never text.
///
/// ```compile_fail
/// use vitals_fhir::{interaction::SearchType, resource::Patient, search::Query};
/// use vitals_store::rows::Rows;
/// async fn search(rows: &mut Rows<'_, Patient, SearchType>, query: &Query<Patient>, text: &str) {
///     let _ = (rows.search(text, None).await, query);
/// }
/// ```
///
/// ```
/// use vitals_fhir::{interaction::SearchType, resource::Patient, search::Query};
/// use vitals_store::rows::Rows;
/// async fn search(rows: &mut Rows<'_, Patient, SearchType>, query: &Query<Patient>, text: &str) {
///     let _ = (rows.search(query, None).await, text);
/// }
/// ```
pub const SEARCH_WITH_TEXT: () = ();

/// The builder of statements belongs to the store alone.
///
/// ```compile_fail
/// use vitals_store::sql::Sql as _Statement;
/// fn main() {}
/// ```
///
/// ```
/// use vitals_store::tenant::TenantTx as _Statement;
/// fn main() {}
/// ```
pub const BRING_SQL_OF_YOUR_OWN: () = ();

/// A view of one tenant's transaction is of no use in another's: each commits what is its own.
///
/// ```compile_fail
/// use vitals_fhir::{interaction::Read, resource::{Id, Patient}};
/// use vitals_store::{rows::Rows, tenant::TenantTx};
/// async fn mix<'a>(mut here: TenantTx<'a>, mut there: TenantTx<'a>, id: &Id<Patient>) {
///     let Ok(mut rows) = here.allow::<Patient, Read>() else { return };
///     let _ = there.commit().await;
///     let _ = rows.get(id).await; let _ = there.allow::<Patient, Read>();
/// }
/// ```
///
/// ```
/// use vitals_fhir::{interaction::Read, resource::{Id, Patient}};
/// use vitals_store::{rows::Rows, tenant::TenantTx};
/// async fn mix<'a>(mut here: TenantTx<'a>, mut there: TenantTx<'a>, id: &Id<Patient>) {
///     let Ok(mut rows) = here.allow::<Patient, Read>() else { return };
///     let _ = there.commit().await;
///     let _ = rows.get(id).await;
/// }
/// ```
pub const MIX_TWO_TENANTS: () = ();

/// A caller whom a grant lets into another tenant opens that tenant alone: it is the `Access` that says which, and there is
/// no way to turn it to its own or to a third.
///
/// ```compile_fail
/// use std::sync::Arc;
/// use vitals_access::{access::Access, tenant::Tenant};
/// use vitals_store::pool::TenantPool;
/// async fn turn(pool: &TenantPool, delegated: &Access) {
///     let own: &Arc<Tenant> = delegated.acting();
///     let _ = pool.read(own).await;
/// }
/// ```
///
/// ```
/// use std::sync::Arc;
/// use vitals_access::{access::Access, tenant::Tenant};
/// use vitals_store::pool::TenantPool;
/// async fn turn(pool: &TenantPool, delegated: &Access) {
///     let own: &Arc<Tenant> = delegated.acting();
///     let _ = (pool.read(delegated).await, own);
/// }
/// ```
pub const OPEN_THE_OTHER_TENANT_OF_A_GRANT: () = ();

/// What lets a caller into another tenant is decided by the verifier alone.
///
/// ```compile_fail
/// use std::sync::Arc;
/// use vitals_access::{access::Access, tenant::Tenant};
/// fn turn(delegated: &Access, other: &Arc<Tenant>) -> Access {
///     delegated.in_tenant(Arc::clone(other), delegated.under())
/// }
/// ```
///
/// ```
/// use std::sync::Arc;
/// use vitals_access::{access::Access, tenant::Tenant};
/// fn turn(delegated: &Access, other: &Arc<Tenant>) -> Access {
///     delegated.clone()
/// }
/// ```
pub const TURN_A_DELEGATED_CALLER: () = ();

/// A job's authority is a stored row; its ticket has no other maker.
///
/// ```compile_fail
/// use vitals_access::access::{Access, JobTicket};
/// fn act(ticket: &JobTicket) -> Access {
///     JobTicket { access: ticket.access() }.access()
/// }
/// ```
///
/// ```
/// use vitals_access::access::{Access, JobTicket};
/// fn act(ticket: &JobTicket) -> Access {
///     ticket.access()
/// }
/// ```
pub const FORGE_A_JOB: () = ();

/// The tables of an authorization server give no rows of clinical data.
///
/// ```compile_fail
/// use vitals_fhir::{interaction::Read, resource::Patient};
/// use vitals_store::{authorization::AuthorizationTx, tenant::TenantTx};
/// async fn look(tables: &mut AuthorizationTx, tenant: &mut TenantTx<'_>) {
///     let _ = tables.allow::<Patient, Read>();
/// }
/// ```
///
/// ```
/// use vitals_fhir::{interaction::Read, resource::Patient};
/// use vitals_store::{authorization::AuthorizationTx, tenant::TenantTx};
/// async fn look(tables: &mut AuthorizationTx, tenant: &mut TenantTx<'_>) {
///     let _ = tenant.allow::<Patient, Read>();
/// }
/// ```
pub const READ_PATIENTS_THROUGH_AN_AUTHORIZATION_SERVER: () = ();

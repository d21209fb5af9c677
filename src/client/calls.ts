/** Every signed call of the HTTP interface, one function each. What they may be sent and what comes back is in the messages. */
import type {
  Approve,
  AskRequest,
  AuditPage,
  AuditWho,
  BreakGlassStates,
  CheckpointReply,
  CloseReview,
  CredentialReply,
  DeclareIncident,
  Deny,
  DeviceList,
  DeviceView,
  Explain,
  Explanation,
  Extend,
  GrantList,
  GrantView,
  IncidentList,
  IncidentView,
  InviteReply,
  IssueRequest,
  Me,
  Pack,
  PackPlan,
  PackView,
  RequestList,
  RequestPack,
  RequestView,
  ResourceList,
  ReviewList,
  ReviewView,
  Revoke,
  StatusReply,
} from '../protocol/messages.ts';
import type { BrokerClient, CallOptions, PostOptions } from './broker.ts';

/** A call that waits at the broker needs longer than the wait itself. */
const MARGIN_MS = 15_000;
/** Issuing and ending wait for the target. */
const TARGET_TIMEOUT_MS = 60_000;
/** Entries a page: few enough to stay below the size of answer that is accepted. */
const PAGE = 200;
const BARE: PostOptions = { recordsNothing: true };

export const getMe = (broker: BrokerClient, options?: CallOptions) => broker.get<Me>('/v1/me', options);
export const getStatus = (broker: BrokerClient) => broker.get<StatusReply>('/v1/status');
export const listResources = (broker: BrokerClient) => broker.get<ResourceList>('/v1/resources');

/** One's own, or another person's with the right to manage devices. */
export const listDevices = (broker: BrokerClient, user?: string) =>
  broker.get<DeviceList>(`/v1/devices${query({ user })}`);
export const inviteDevice = (broker: BrokerClient) => broker.post<InviteReply>('/v1/devices/invite', {});
export const revokeDevice = (broker: BrokerClient, id: string) =>
  broker.post<DeviceView>(`/v1/devices/${part(id)}/revoke`, {});

export const declareIncident = (broker: BrokerClient, incident: DeclareIncident) =>
  broker.post<IncidentView>('/v1/incidents', incident);
export const listIncidents = (broker: BrokerClient, { openOnly }: { openOnly: boolean }) =>
  broker.get<IncidentList>(`/v1/incidents${query({ state: openOnly ? 'open' : undefined })}`);
export const getIncident = (broker: BrokerClient, id: string) =>
  broker.get<IncidentView>(`/v1/incidents/${part(id)}`);
export const resolveIncident = (broker: BrokerClient, id: string) =>
  broker.post<IncidentView>(`/v1/incidents/${part(id)}/resolve`, {});
export const reopenIncident = (broker: BrokerClient, id: string) =>
  broker.post<IncidentView>(`/v1/incidents/${part(id)}/reopen`, {});

export const askRequest = (broker: BrokerClient, ask: AskRequest, options?: PostOptions) =>
  broker.post<RequestView>('/v1/requests', ask, options);
/** Decides and records nothing. */
export const dryRunRequest = (broker: BrokerClient, ask: AskRequest) =>
  broker.post<RequestView>('/v1/requests/dry-run', ask, BARE);
export const getRequest = (broker: BrokerClient, id: string) =>
  broker.get<RequestView>(`/v1/requests/${part(id)}`);
/** Answers as soon as the request is not pending any more, or as it is after `waitSeconds` (25 at most). */
export const waitForRequest = (
  broker: BrokerClient,
  id: string,
  waitSeconds: number,
  options: CallOptions = {},
) =>
  broker.get<RequestView>(`/v1/requests/${part(id)}${query({ waitSeconds })}`, {
    timeoutMs: waitSeconds * 1000 + MARGIN_MS,
    ...options,
  });
export const approveRequest = (broker: BrokerClient, id: string, answer: Approve) =>
  broker.post<RequestView>(`/v1/requests/${part(id)}/approve`, answer);
export const denyRequest = (broker: BrokerClient, id: string, answer: Deny) =>
  broker.post<RequestView>(`/v1/requests/${part(id)}/deny`, answer);
export const cancelRequest = (broker: BrokerClient, id: string) =>
  broker.post<RequestView>(`/v1/requests/${part(id)}/cancel`, {});
/** Pending requests that one can answer. */
export const listApprovals = (broker: BrokerClient) => broker.get<RequestList>('/v1/approvals');
export const explain = (broker: BrokerClient, question: Explain) =>
  broker.post<Explanation>('/v1/explain', question, BARE);

export const listGrants = (broker: BrokerClient, { all }: { all: boolean }) =>
  broker.get<GrantList>(`/v1/grants${query({ all: all ? 'true' : undefined })}`);
export const issueCredential = (
  broker: BrokerClient,
  grantId: string,
  request: IssueRequest,
  options: PostOptions = {},
) =>
  broker.post<CredentialReply>(`/v1/grants/${part(grantId)}/credentials`, request, {
    timeoutMs: TARGET_TIMEOUT_MS,
    ...options,
  });
export const extendGrant = (broker: BrokerClient, grantId: string, extend: Extend) =>
  broker.post<GrantView>(`/v1/grants/${part(grantId)}/extend`, extend);
/** Ends the grant; `credentials[].proof` says how far the proof has come. */
export const releaseGrant = (broker: BrokerClient, grantId: string) =>
  broker.post<GrantView>(`/v1/grants/${part(grantId)}/release`, {}, { timeoutMs: TARGET_TIMEOUT_MS });
export const revokeGrants = (broker: BrokerClient, revoke: Revoke) =>
  broker.post<GrantList>('/v1/revoke', revoke, { timeoutMs: TARGET_TIMEOUT_MS });
/** Whom a revocation would hit. */
export const dryRunRevoke = (broker: BrokerClient, revoke: Revoke) =>
  broker.post<GrantList>('/v1/revoke/dry-run', revoke, BARE);

/** Open ones that concern this person; all of them with the right to review. */
export const listReviews = (broker: BrokerClient, { all }: { all: boolean }) =>
  broker.get<ReviewList>(`/v1/reviews${query({ all: all ? 'true' : undefined })}`);
export const getReview = (broker: BrokerClient, id: string) =>
  broker.get<ReviewView>(`/v1/reviews/${part(id)}`);
export const closeReview = (broker: BrokerClient, id: string, close: CloseReview) =>
  broker.post<ReviewView>(`/v1/reviews/${part(id)}/close`, close);

/** What break-glass left at the resources; for those who review. */
export const listBreakGlassStates = (broker: BrokerClient) =>
  broker.get<BreakGlassStates>('/v1/break-glass/resources');

export const getCheckpoint = (broker: BrokerClient, from: number) =>
  broker.get<CheckpointReply>(`/v1/audit/checkpoint${query({ from })}`);
export const listAuditEntries = (broker: BrokerClient, from: number, limit = PAGE) =>
  broker.get<AuditPage>(`/v1/audit/entries${query({ from, limit })}`);
/** Whom a name at a target leads back to, at `at` (RFC 3339) or ever. Throws `not_found`. */
export const askWho = (broker: BrokerClient, name: string, at: string | undefined) =>
  broker.get<AuditWho>(`/v1/audit/who${query({ name, at })}`);

/** The packs that this device should have. */
export const getPackPlan = (broker: BrokerClient) => broker.get<PackPlan>('/v1/break-glass/plan');
export const requestPack = (broker: BrokerClient, request: RequestPack) =>
  broker.post<Pack>('/v1/break-glass/packs', request);
/** It is on this device's disk. */
export const confirmPack = (broker: BrokerClient, id: string) =>
  broker.post<PackView>(`/v1/break-glass/packs/${part(id)}/confirm`, {});

function part(id: string): string {
  return encodeURIComponent(id);
}

function query(values: Readonly<Record<string, string | number | undefined>>): string {
  const pairs = Object.entries(values).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name}=${encodeURIComponent(value)}`],
  );
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

/**
 * From the name under which somebody acts at a target back to person, grant, request and incident, by the audit log alone: the
 * broker's, or an export of it. The name is attacker-controlled: it comes out of another system's log, and anybody may have
 * written it there. So it only says where to look, and all that is answered is what our own log says.
 */
import { AppError } from '../protocol/errors.ts';
import type { TraceView } from '../protocol/messages.ts';
import { parseInstant } from '../protocol/time.ts';
import type { AuditEntry } from './entry.ts';
import { isRecord } from './json-shape.ts';
import { namesIn } from './trace-names.ts';

/**
 * Entries (of these events, where any are named) whose subject holds one of these values, oldest first. Of very many, the newest,
 * and those of {@link MAKING}.
 */
export type FindEntries = (
  values: ReadonlySet<string>,
  events?: readonly string[],
) => Promise<readonly AuditEntry[]>;

/** What makes a grant or a login, and names it for the first time. */
export const MAKING: readonly string[] = ['grant.created', 'grant.ready', 'credential.issuing'];

type Login = TraceView['logins'][number];

const MOST_GRANTS = 20;
const MOST_LOGINS = 50;
const MOST_SEEN = 20;

/** Newest grant first; empty where the log knows nothing of it. `atMs`: only what was in force then. */
export async function traceName(
  find: FindEntries,
  name: string,
  atMs: number | undefined,
): Promise<TraceView[]> {
  const named = namesIn(name);
  const first = await find(new Set([...named.handles, ...named.credentials, ...named.grants]), MAKING);
  const hits = matching(first, named);
  const grants = [...new Set(hits.entries.map(({ subject }) => subject?.grant ?? ''))].filter(
    (id) => id !== '',
  );
  if (grants.length === 0) return [];
  const chosen = grants.sort().reverse().slice(0, MOST_GRANTS);
  const about = await find(new Set(chosen));
  const requests = new Set(about.flatMap(({ subject }) => subject?.request ?? []));
  const asked = await find(requests);
  const traces = chosen.map((id) => traceGrant(id, about, asked));
  return traces.flatMap((trace) => {
    const logins = trace.logins.filter(
      (login) =>
        (hits.credentials === undefined || hits.credentials.has(login.credentialId)) &&
        (atMs === undefined || isInForce(login, atMs)),
    );
    if (logins.length === 0 && (hits.credentials !== undefined || atMs !== undefined)) return [];
    const contradiction = contradictionOf(named, trace, logins, hits.by);
    return [{ ...trace, by: hits.by, contradiction, logins: logins.slice(0, MOST_LOGINS) }];
  });
}

/** When these were in force, for whoever asked about another time. */
export function spansOf(traces: readonly TraceView[]): string[] {
  return traces.flatMap(({ logins }) =>
    logins.map(({ issuedAt, endedAt }) => `${issuedAt} to ${endedAt ?? 'now'}`),
  );
}

interface Hits {
  by: TraceView['by'];
  entries: readonly AuditEntry[];
  /** Undefined where a grant is named: then all of its logins are meant. */
  credentials: ReadonlySet<string> | undefined;
}

/** What is named most exactly: a login's name, then a credential's id, then a grant's. */
function matching(entries: readonly AuditEntry[], named: ReturnType<typeof namesIn>): Hits {
  const by = (key: 'handle' | 'credential' | 'grant', values: ReadonlySet<string>) =>
    entries.filter(({ subject }) => values.has(subject?.[key] ?? ''));
  const handles = by('handle', named.handles);
  if (handles.length > 0) return { by: 'name', entries: handles, credentials: credentialsOf(handles) };
  const credentials = by('credential', named.credentials);
  if (credentials.length > 0)
    return { by: 'id', entries: credentials, credentials: credentialsOf(credentials) };
  return { by: 'id', entries: by('grant', named.grants), credentials: undefined };
}

function credentialsOf(entries: readonly AuditEntry[]): Set<string> {
  return new Set(entries.flatMap(({ subject }) => subject?.credential ?? []));
}

function traceGrant(
  id: string,
  about: readonly AuditEntry[],
  asked: readonly AuditEntry[],
): Omit<TraceView, 'by' | 'contradiction'> {
  const own = about.filter(({ subject }) => subject?.grant === id);
  const made = own.find(({ event }) => event === 'grant.created' || event === 'grant.ready');
  const ended = own.find(({ event }) => event === 'grant.ended');
  const issuing = own.find(({ event }) => event === 'credential.issuing');
  const requestId = made?.subject?.request ?? '';
  const answers = asked.filter(({ subject }) => subject?.request === requestId);
  const request = answers.find(({ event }) => /^request\.(granted|pending|denied)$/.test(event));
  const incidents = own.flatMap((entry) => textIn(entry, 'incident') ?? []);
  return {
    user: made?.subject?.user ?? issuing?.subject?.user ?? '',
    target: {
      resource: made?.subject?.resource ?? issuing?.subject?.resource ?? '',
      role: textIn(made, 'role') ?? textIn(issuing, 'role') ?? '',
    },
    grantId: id,
    via: textIn(made, 'via') ?? '',
    rule: textIn(made, 'rule') ?? null,
    requestId,
    reason: textIn(request, 'reason') ?? null,
    incidents: [...new Set(incidents)],
    approvals: answers
      .filter(({ event }) => event === 'request.approved')
      .map(({ subject, at }) => ({ approver: subject?.approver ?? '', at })),
    openedAt: made?.at ?? null,
    endedAt: ended?.at ?? null,
    endCause: textIn(ended, 'cause') ?? null,
    logins: loginsOf(own).reverse(),
  };
}

function loginsOf(own: readonly AuditEntry[]): Login[] {
  const logins = new Map<string, Login>();
  for (const entry of own) {
    const { event, at, subject } = entry;
    const credentialId = subject?.credential;
    if (credentialId === undefined) continue;
    const known = logins.get(credentialId) ?? {
      credentialId,
      kind: '',
      handle: subject?.handle ?? '',
      deviceId: '',
      issuedAt: at,
      expiresAt: null,
      endingAt: null,
      endedAt: null,
      endCause: null,
      seen: [],
    };
    logins.set(credentialId, known);
    known.expiresAt = textIn(entry, 'expiresAt') ?? known.expiresAt;
    if (event === 'credential.issuing') {
      known.kind = textIn(entry, 'kind') ?? '';
      known.deviceId = subject?.device ?? '';
    }
    if (event === 'credential.ending') {
      known.endingAt = at;
      known.endCause = textIn(entry, 'cause') ?? null;
    }
    if (event === 'credential.ended') known.endedAt = at;
    if (event === 'login.seen' && known.seen.length < MOST_SEEN) {
      known.seen.push({
        host: subject?.host ?? '',
        account: textIn(entry, 'account') ?? '',
        address: textIn(entry, 'address') ?? '',
        at: textIn(entry, 'at') ?? at,
      });
    }
  }
  return [...logins.values()];
}

function isInForce({ issuedAt, endedAt }: Login, atMs: number): boolean {
  return parseInstant(issuedAt) <= atMs && (endedAt === null || atMs < parseInstant(endedAt));
}

function contradictionOf(
  { name, grant, user, claimsName }: ReturnType<typeof namesIn>,
  trace: Pick<TraceView, 'grantId' | 'user'>,
  logins: readonly Login[],
  by: TraceView['by'],
): string | null {
  if (grant !== undefined && grant !== trace.grantId)
    return `the name says ${grant}, and the login belongs to ${trace.grantId}`;
  if (user !== undefined && user !== asInKeyId(trace.user))
    return `the name says ${user}, and the grant is that of ${trace.user}`;
  const [login] = logins;
  // A part of it, without the prefix of the target's, is all right.
  if (claimsName && by === 'id' && login && !login.handle.includes(name))
    return `the login of that id is called ${login.handle}`;
  return null;
}

/** As the key id of an SSH certificate holds a person's name. */
function asInKeyId(user: string): string {
  return user.replace(/[^A-Za-z0-9._@+-]/g, '_').slice(0, 128);
}

function textIn(entry: AuditEntry | undefined, key: string): string | undefined {
  const data = entry?.data;
  if (!isRecord(data) || !Object.hasOwn(data, key)) return undefined;
  const value = data[key];
  return typeof value === 'string' ? value : undefined;
}

/** What is said where the log knows nothing. */
export function unknownName(traces: readonly TraceView[], near: string | undefined): AppError {
  const spans = spansOf(traces).slice(0, 3);
  if (spans.length > 0) {
    return new AppError('not_found', 'nobody acted under that name at that time', {
      hint: `it was in force from ${spans.join(', ')}`,
    });
  }
  return new AppError('not_found', 'the log knows no login of that name', {
    hint: near === undefined ? 'paste it whole, as the target wrote it' : `did you mean ${near}`,
  });
}

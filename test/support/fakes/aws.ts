/**
 * STS, IAM and the console's sign-in of one AWS account, on loopback, as strict as their documentation: Signature Version 4 is
 * checked for real, parameters by the API references, answers are the documented XML, policies are evaluated. A session that
 * AssumeRole gave is let in by what its role's inline policies and its session policy say at that moment. Of no test runner.
 */
import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  matching,
  ROLE_NAME,
  readParameters,
  readSessionPolicy,
  readTags,
  validation,
} from './aws-parameters.ts';
import { type CallContext, evaluate, parsePolicy, type Statement } from './aws-policy.ts';
import { AwsFault, type SignedBy, verifySignature } from './aws-signature.ts';

export const ACCOUNT = '123456789012';
export const BROKER_ARN = `arn:aws:iam::${ACCOUNT}:user/oncall-broker`;
const STS_VERSION = '2011-06-15';
const IAM_VERSION = '2010-05-08';
const MOST_INLINE_CHARACTERS = 10_240;
/** Small, so that whoever lists must follow markers. */
const PAGE = 5;

export interface FakeRole {
  arn: string;
  trust: Statement[];
  maxSessionSeconds: number;
  /** Inline policies by name, as text. */
  policies: Map<string, string>;
}

export interface FakeSession {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string;
  role: string;
  name: string;
  sourceIdentity: string | undefined;
  tags: Record<string, string>;
  policy: Statement[] | undefined;
  issuedAtMs: number;
  expiresAtMs: number;
}

export interface FakeAws {
  readonly url: string;
  readonly signIn: string;
  readonly key: { accessKeyId: string; secretAccessKey: string };
  readonly roles: Map<string, FakeRole>;
  readonly sessions: FakeSession[];
  /** `service:Action` of each call that was let in or refused by a policy. */
  readonly calls: string[];
  /** What no client should have sent. Assert that it is empty. */
  readonly complaints: string[];
  readonly region: string;
  addRole(
    name: string,
    trustPolicy: string,
    options?: { maxSessionSeconds?: number; path?: string },
  ): FakeRole;
  /** The broker's identity policy. */
  setBrokerPolicy(document: string): void;
  /** Brings the account's clock forward. */
  advance(ms: number): void;
  /** The next calls of this action fail so; all until `recover` where no number is given. */
  fail(action: string, code: string, status: number, times?: number): void;
  /** Takes calls of this action and never answers. */
  hang(action: string): void;
  recover(): void;
  close(): Promise<void>;
}

export async function startFakeAws({ region = 'eu-west-1' } = {}): Promise<FakeAws> {
  const roles = new Map<string, FakeRole>();
  const sessions: FakeSession[] = [];
  const calls: string[] = [];
  const complaints: string[] = [];
  const key = {
    accessKeyId: `AKIA${hex(8).toUpperCase()}`,
    secretAccessKey: randomBytes(30).toString('base64'),
  };
  const signInTokens = new Map<string, FakeSession>();
  const faults = new Map<string, { code: string; status: number; left: number }>();
  const hung = new Set<string>();
  let brokerPolicy: Statement[] = [];
  let aheadMs = 0;
  const now = () => Date.now() + aheadMs;

  function secretOf(accessKeyId: string, token: string | undefined): string {
    if (accessKeyId === key.accessKeyId) return key.secretAccessKey;
    const session = sessions.find((one) => one.accessKeyId === accessKeyId && one.sessionToken === token);
    if (!session)
      throw new AwsFault(
        'InvalidClientTokenId',
        403,
        'The security token included in the request is invalid.',
      );
    if (session.expiresAtMs <= now())
      throw new AwsFault('ExpiredToken', 403, 'The security token included in the request is expired');
    return session.secretAccessKey;
  }

  function sessionContext(session: FakeSession): CallContext {
    return {
      'aws:currenttime': [seconds(now())],
      'aws:tokenissuetime': [seconds(session.issuedAtMs)],
      ...(session.sourceIdentity === undefined ? {} : { 'aws:sourceidentity': [session.sourceIdentity] }),
    };
  }

  /** Throws AccessDenied unless whoever signed may do this. */
  function authorize(by: SignedBy, action: string, resource: string, context: CallContext = {}): void {
    const session = sessions.find(({ accessKeyId }) => accessKeyId === by.accessKeyId);
    const denied = (arn: string) =>
      new AwsFault(
        'AccessDenied',
        403,
        `User: ${arn} is not authorized to perform: ${action} on resource: ${resource}`,
      );
    if (!session) {
      const call = { action, resource, context: { 'aws:currenttime': [seconds(now())], ...context } };
      if (evaluate(brokerPolicy, call) !== 'allow') throw denied(BROKER_ARN);
      return;
    }
    const call = { action, resource, context: { ...sessionContext(session), ...context } };
    const inline = [...(roles.get(session.role)?.policies.values() ?? [])].flatMap((text) =>
      parsePolicy(text),
    );
    const gone = !roles.has(session.role);
    // The role itself may do anything here: a managed policy, say.
    const refused = gone || evaluate(inline, call) === 'deny';
    if (refused || (session.policy && evaluate(session.policy, call) !== 'allow'))
      throw denied(arnOf(session));
  }

  /** As a trust policy names it: of a session, its role. */
  function callerOf({ accessKeyId }: SignedBy): string {
    const session = sessions.find((one) => one.accessKeyId === accessKeyId);
    return session === undefined ? BROKER_ARN : (roles.get(session.role)?.arn ?? arnOf(session));
  }

  function roleNamed(name: string): FakeRole {
    const role = roles.get(name);
    if (!role) throw new AwsFault('NoSuchEntity', 404, `The role with name ${name} cannot be found.`);
    return role;
  }

  function assumeRole(by: SignedBy, params: URLSearchParams): string {
    const given = readParameters(params, [
      'RoleArn',
      'RoleSessionName',
      'DurationSeconds',
      'Policy',
      'SourceIdentity',
    ]);
    const name = matching(given.RoleSessionName, /^[\w+=,.@-]{2,64}$/, 'RoleSessionName');
    const identity =
      given.SourceIdentity === undefined
        ? undefined
        : matching(given.SourceIdentity, /^(?!aws:)[\w+=,.@-]{2,64}$/, 'SourceIdentity');
    const tags = readTags(params);
    const duration = Number(given.DurationSeconds ?? 3600);
    if (!Number.isInteger(duration) || duration < 900 || duration > 43_200)
      throw validation(`Value '${duration}' at 'durationSeconds' failed to satisfy constraint`);
    const policy = given.Policy === undefined ? undefined : readSessionPolicy(given.Policy);
    const arn = matching(given.RoleArn, /^arn:aws:iam::\d{12}:role\/[\w+=,.@/-]+$/, 'RoleArn');
    const role = [...roles.values()].find((one) => one.arn === arn);
    const context = {
      ...(identity === undefined ? {} : { 'sts:sourceidentity': [identity] }),
      'sts:rolesessionname': [name],
      ...(Object.keys(tags).length > 0 && { 'aws:tagkeys': Object.keys(tags) }),
      ...Object.fromEntries(
        Object.entries(tags).map(([tag, value]) => [`aws:requesttag/${tag}`.toLowerCase(), [value]]),
      ),
    };
    const needed = ['sts:AssumeRole'];
    if (Object.keys(tags).length > 0) needed.push('sts:TagSession');
    if (identity !== undefined) needed.push('sts:SetSourceIdentity');
    for (const action of needed) {
      authorize(by, action, arn, context);
      const trusted = (role?.trust ?? []).filter(
        ({ Principal }) =>
          Principal?.AWS === callerOf(by) || Principal?.AWS === `arn:aws:iam::${ACCOUNT}:root`,
      );
      if (evaluate(trusted, { action, resource: arn, context }) !== 'allow')
        throw new AwsFault(
          'AccessDenied',
          403,
          `User: ${callerOf(by)} is not authorized to perform: ${action} on resource: ${arn}`,
        );
    }
    if (role === undefined) throw new Error('let in by no role');
    if (duration > role.maxSessionSeconds)
      throw validation('The requested DurationSeconds exceeds the MaxSessionDuration set for this role.');
    const session: FakeSession = {
      accessKeyId: `ASIA${hex(8).toUpperCase()}`,
      secretAccessKey: randomBytes(30).toString('base64'),
      sessionToken: randomBytes(240).toString('base64'),
      role: arn.slice(arn.lastIndexOf('/') + 1),
      name,
      sourceIdentity: identity,
      tags,
      policy,
      issuedAtMs: Math.floor(now() / 1000) * 1000,
      expiresAtMs: now() + duration * 1000,
    };
    sessions.push(session);
    return `<Credentials><AccessKeyId>${session.accessKeyId}</AccessKeyId><SecretAccessKey>${session.secretAccessKey}</SecretAccessKey><SessionToken>${session.sessionToken}</SessionToken><Expiration>${seconds(session.expiresAtMs)}</Expiration></Credentials><AssumedRoleUser><AssumedRoleId>AROA${hex(8).toUpperCase()}:${xml(name)}</AssumedRoleId><Arn>${xml(arnOf(session))}</Arn></AssumedRoleUser><PackedPolicySize>6</PackedPolicySize>${identity === undefined ? '' : `<SourceIdentity>${xml(identity)}</SourceIdentity>`}`;
  }

  /** Answers the inside of the result element; the actions that have none answer undefined. */
  function act(by: SignedBy, action: string, params: URLSearchParams): string | undefined {
    switch (`${by.service}:${action}`) {
      case 'sts:GetCallerIdentity': {
        readParameters(params, []);
        // AWS asks for no permission here, and a deny changes nothing.
        const session = sessions.find(({ accessKeyId }) => accessKeyId === by.accessKeyId);
        return `<Arn>${xml(session ? arnOf(session) : BROKER_ARN)}</Arn><UserId>AIDA${hex(8).toUpperCase()}</UserId><Account>${ACCOUNT}</Account>`;
      }
      case 'sts:AssumeRole':
        return assumeRole(by, params);
      case 'iam:ListAccountAliases':
        readParameters(params, []);
        authorize(by, 'iam:ListAccountAliases', '*');
        return '<AccountAliases><member>orders-prod</member></AccountAliases><IsTruncated>false</IsTruncated>';
      case 'iam:ListRolePolicies': {
        const given = readParameters(params, ['RoleName', 'Marker', 'MaxItems']);
        const name = matching(given.RoleName, ROLE_NAME, 'RoleName');
        authorize(by, 'iam:ListRolePolicies', roles.get(name)?.arn ?? `arn:aws:iam::${ACCOUNT}:role/${name}`);
        const names = [...roleNamed(name).policies.keys()].sort();
        const from = given.Marker === undefined ? 0 : Number(Buffer.from(given.Marker, 'base64').toString());
        const page = names.slice(from, from + Math.min(PAGE, Number(given.MaxItems ?? PAGE)));
        const more = from + page.length < names.length;
        const marker = Buffer.from(String(from + page.length)).toString('base64');
        return `<PolicyNames>${page.map((one) => `<member>${xml(one)}</member>`).join('')}</PolicyNames><IsTruncated>${more}</IsTruncated>${more ? `<Marker>${marker}</Marker>` : ''}`;
      }
      case 'iam:GetRolePolicy': {
        const { role, policy } = rolePolicy(by, 'iam:GetRolePolicy', params);
        const document = roleNamed(role).policies.get(policy);
        if (document === undefined) throw noSuchPolicy(policy);
        return `<RoleName>${xml(role)}</RoleName><PolicyName>${xml(policy)}</PolicyName><PolicyDocument>${encodeURIComponent(document)}</PolicyDocument>`;
      }
      case 'iam:PutRolePolicy': {
        const { role, policy, given } = rolePolicy(by, 'iam:PutRolePolicy', params, ['PolicyDocument']);
        const document = matching(
          given.PolicyDocument,
          /^[\u0009\u000a\u000d\u0020-\u00ff]+$/,
          'PolicyDocument',
        );
        parsePolicy(document);
        const { policies } = roleNamed(role);
        const others = [...policies].filter(([name]) => name !== policy).map(([, text]) => text);
        const size = [...others, document].join('').replace(/\s/g, '').length;
        if (size > MOST_INLINE_CHARACTERS)
          throw new AwsFault(
            'LimitExceeded',
            409,
            `Maximum policy size of 10240 bytes exceeded for role ${role}`,
          );
        policies.set(policy, document);
        return undefined;
      }
      case 'iam:DeleteRolePolicy': {
        const { role, policy } = rolePolicy(by, 'iam:DeleteRolePolicy', params);
        if (!roleNamed(role).policies.delete(policy)) throw noSuchPolicy(policy);
        return undefined;
      }
      default:
        throw new AwsFault('InvalidAction', 400, `Could not find operation ${action}`);
    }
  }

  function rolePolicy(by: SignedBy, action: string, params: URLSearchParams, more: string[] = []) {
    const given = readParameters(params, ['RoleName', 'PolicyName', ...more]);
    const role = matching(given.RoleName, ROLE_NAME, 'RoleName');
    const policy = matching(given.PolicyName, /^[\w+=,.@-]{1,128}$/, 'PolicyName');
    authorize(by, action, roles.get(role)?.arn ?? `arn:aws:iam::${ACCOUNT}:role/${role}`);
    return { role, policy, given };
  }

  function answerApi(request: IncomingMessage, body: string): { status: number; text: string } | undefined {
    const params = new URLSearchParams(body);
    const action = params.get('Action') ?? '';
    if (hung.has(action)) return undefined;
    const namespace =
      params.get('Version') === IAM_VERSION
        ? `https://iam.amazonaws.com/doc/${IAM_VERSION}/`
        : `https://sts.amazonaws.com/doc/${STS_VERSION}/`;
    try {
      const headers = Object.fromEntries(
        Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
      );
      if (request.method !== 'POST' || request.url !== '/')
        throw new AwsFault('InvalidAction', 400, 'POST / only');
      if (!/^application\/x-www-form-urlencoded(; ?charset=utf-8)?$/.test(headers['content-type'] ?? ''))
        throw new AwsFault('InvalidAction', 400, 'not a form');
      const by = verifySignature({ method: 'POST', target: '/', headers, body }, secretOf, now());
      const version = { sts: STS_VERSION, iam: IAM_VERSION }[by.service];
      if (params.get('Version') !== version)
        throw new AwsFault('InvalidAction', 400, 'Version of another service');
      // IAM is global: its scope is us-east-1 wherever one is.
      if (by.region !== (by.service === 'iam' ? 'us-east-1' : region))
        throw new AwsFault(
          'SignatureDoesNotMatch',
          403,
          `Credential should be scoped to a valid region, not ${by.region}`,
        );
      calls.push(`${by.service}:${action}`);
      const fault = faults.get(action);
      if (fault && fault.left-- > 0)
        throw new AwsFault(fault.code, fault.status, 'the fake was told to fail');
      const result = act(by, action, params);
      const inside = result === undefined ? '' : `<${action}Result>${result}</${action}Result>`;
      return {
        status: 200,
        text: `<${action}Response xmlns="${namespace}">${inside}<ResponseMetadata><RequestId>${requestId()}</RequestId></ResponseMetadata></${action}Response>`,
      };
    } catch (error) {
      if (!(error instanceof AwsFault)) throw error;
      // A clock that stands apart is no fault of the client's: it signs anew once it knows.
      if (STRANGE.has(error.code) && !error.message.startsWith('Signature '))
        complaints.push(`${action}: ${error.code}: ${error.message}`);
      return {
        status: error.status,
        text: `<ErrorResponse xmlns="${namespace}"><Error><Type>${error.status < 500 ? 'Sender' : 'Receiver'}</Type><Code>${error.code}</Code><Message>${xml(error.message)}</Message></Error><RequestId>${requestId()}</RequestId></ErrorResponse>`,
      };
    }
  }

  /** IAM User Guide, "Enable custom identity broker access to the AWS console". */
  function answerSignIn(query: URLSearchParams): { status: number; body: string; location?: string } {
    const unknown = [...query.keys()].filter(
      (name) => !['Action', 'Session', 'SigninToken', 'Destination'].includes(name),
    );
    if (unknown.length > 0) {
      complaints.push(`sign-in: ${unknown.join(', ')}`);
      return { status: 400, body: 'Bad Request' };
    }
    if (query.get('Action') === 'getSigninToken') {
      const given = JSON.parse(query.get('Session') ?? '{}') as Record<string, string>;
      const session = sessions.find(
        (one) =>
          one.accessKeyId === given.sessionId &&
          one.secretAccessKey === given.sessionKey &&
          one.sessionToken === given.sessionToken,
      );
      if (!session || session.expiresAtMs <= now()) return { status: 403, body: 'Forbidden' };
      const token = randomBytes(48).toString('base64url');
      signInTokens.set(token, session);
      return { status: 200, body: JSON.stringify({ SigninToken: token }) };
    }
    const session = signInTokens.get(query.get('SigninToken') ?? '');
    const destination = query.get('Destination') ?? '';
    if (query.get('Action') !== 'login' || !session || !URL.canParse(destination))
      return { status: 400, body: 'Bad Request' };
    return { status: 302, body: `signed in as ${arnOf(session)}`, location: destination };
  }

  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://fake');
      if (url.pathname === '/federation') {
        const { status, body, location } = answerSignIn(url.searchParams);
        response.writeHead(status, { 'content-type': 'application/json', ...(location && { location }) });
        return void response.end(body);
      }
      const answer = answerApi(request, Buffer.concat(chunks).toString('utf8'));
      if (answer) send(response, answer, now());
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  return {
    url,
    signIn: `${url}/federation`,
    key,
    roles,
    sessions,
    calls,
    complaints,
    region,
    addRole(name, trustPolicy, { maxSessionSeconds = 3600, path = '/' } = {}) {
      const role: FakeRole = {
        arn: `arn:aws:iam::${ACCOUNT}:role${path}${name}`,
        trust: parsePolicy(trustPolicy, { trust: true }),
        maxSessionSeconds,
        policies: new Map(),
      };
      roles.set(name, role);
      return role;
    },
    setBrokerPolicy(document) {
      brokerPolicy = parsePolicy(document);
    },
    advance(ms) {
      aheadMs += ms;
    },
    fail(action, code, status, times = Number.POSITIVE_INFINITY) {
      faults.set(action, { code, status, left: times });
    },
    hang: (action) => void hung.add(action),
    recover() {
      faults.clear();
      hung.clear();
    },
    close: () =>
      new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/** Faults that a well-made client never gets, whatever its user did. */
const STRANGE = new Set([
  'ValidationError',
  'MalformedPolicyDocument',
  'IncompleteSignature',
  'SignatureDoesNotMatch',
  'InvalidAction',
  'LimitExceeded',
]);
function noSuchPolicy(policy: string): AwsFault {
  return new AwsFault('NoSuchEntity', 404, `The role policy with name ${policy} cannot be found.`);
}

function arnOf({ role, name }: FakeSession): string {
  return `arn:aws:sts::${ACCOUNT}:assumed-role/${role}/${name}`;
}

function send(
  response: ServerResponse,
  { status, text }: { status: number; text: string },
  nowMs: number,
): void {
  response.writeHead(status, { 'content-type': 'text/xml', date: new Date(nowMs).toUTCString() });
  response.end(text);
}

function requestId(): string {
  const id = hex(16);
  return [id.slice(0, 8), id.slice(8, 12), id.slice(12, 16), id.slice(16, 20), id.slice(20)].join('-');
}

function hex(bytes: number): string {
  return randomBytes(bytes).toString('hex');
}

function seconds(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

function xml(text: string): string {
  return text.replace(/[<>&"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

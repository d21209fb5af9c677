/**
 * An API server on loopback, as strict as the real one where we touch it: TLS by a CA of its own, bearer tokens it knows or
 * made, RBAC with escalation prevention, content types, names, fields, preconditions, and Status answers as documented. Of no
 * test runner. Who starts one closes it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { makeServerCertificate } from '../server-certificate.ts';
import type { Answered, KubeObject, SeenCall } from './kubernetes-objects.ts';
import { BOOTSTRAP_ROLES } from './kubernetes-rbac.ts';
import { createKubeState } from './kubernetes-state.ts';

type Matches = (call: { method: string; path: string }) => boolean;

export interface FakeKubernetes {
  readonly url: string;
  /** PEM. */
  readonly ca: string;
  /** Of a user in `system:masters`. */
  readonly adminToken: string;
  readonly calls: SeenCall[];
  /** What no client should have sent. Assert that it is empty. */
  readonly complaints: string[];
  /** Objects by path, such as `/api/v1/namespaces/oncall/serviceaccounts/x`. */
  readonly objects: Map<string, KubeObject>;
  /** A call as the admin; fails the test where the answer is not 2xx. */
  admin(method: string, path: string, body?: object): Promise<KubeObject>;
  /** Answers with this status whatever was asked. */
  fail(status: number, matches?: Matches): void;
  /** Does what it is asked, and never answers. */
  swallow(matches?: Matches): void;
  /** Does what it is asked, and answers with something else. */
  alter(matches: Matches, change: (body: object) => object): void;
  /** Keeps what comes from now on; `release` then deals with it, unless its own `timeout` is over. */
  hold(matches?: Matches): { release(): Promise<void>; held(): number };
  recover(): void;
  /** How far its clock is from ours. */
  skewMs: number;
  /** Takes no connections, and drops those it has. */
  stop(): Promise<void>;
  start(): Promise<void>;
  close(): Promise<void>;
}

export async function startFakeKubernetes(): Promise<FakeKubernetes> {
  const { ca, certificate, key } = await makeServerCertificate();
  const calls: SeenCall[] = [];
  const complaints: string[] = [];
  let intercept: ((call: SeenCall, handle: () => Answered) => Promise<Answered | 'silence'>) | undefined;
  const silent = new Set<ServerResponse>();
  const fake = { skewMs: 0 };
  const nowMs = () => Date.now() + fake.skewMs;
  const state = createKubeState(nowMs, (message) => void complaints.push(message));

  async function respond(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of message) chunks.push(chunk as Buffer);
    const url = new URL(message.url ?? '/', 'https://fake');
    const call: SeenCall = {
      method: message.method ?? '',
      path: url.pathname,
      query: url.searchParams,
      user: undefined,
      userAgent: message.headers['user-agent'],
    };
    calls.push(call);
    const process = () => state.answer(call, message.headers, Buffer.concat(chunks).toString());
    const answer = intercept === undefined ? process() : await intercept(call, process);
    if (answer === 'silence') return void silent.add(response);
    const isText = typeof answer.body === 'string';
    response.writeHead(answer.status, {
      'content-type': isText ? 'text/plain' : 'application/json',
      date: new Date(nowMs()).toUTCString(),
    });
    response.end(isText ? answer.body : JSON.stringify(answer.body));
  }

  const all: Matches = () => true;
  let server: Server | undefined;
  let port = 0;
  const start = async () => {
    server = createServer({ cert: certificate, key }, (message, response) => {
      respond(message, response).catch(() => response.destroy());
    });
    await new Promise<void>((resolve) => server?.listen(port, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
  };
  const stop = async () => {
    await new Promise<void>((resolve) => {
      server?.close(() => resolve());
      server?.closeAllConnections();
    });
  };
  await start();
  const url = `https://localhost:${port}`;

  const asAdmin = async (method: string, path: string, body?: object): Promise<KubeObject> => {
    const headers = { authorization: `Bearer ${state.adminToken}`, 'content-type': 'application/json' };
    const { pathname, searchParams } = new URL(path, url);
    const call = { method, path: pathname, query: searchParams, user: undefined, userAgent: 'test' };
    const answer = state.answer(call, headers, body === undefined ? '' : JSON.stringify(body));
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${JSON.stringify(answer.body)}`);
    return answer.body as KubeObject;
  };
  for (const [name, rules] of Object.entries(BOOTSTRAP_ROLES)) {
    const role = {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name },
      rules,
    };
    await asAdmin('POST', '/apis/rbac.authorization.k8s.io/v1/clusterroles', role);
  }
  for (const name of ['default', 'kube-system']) {
    await asAdmin('POST', '/api/v1/namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  }

  return Object.assign(fake, {
    url,
    ca,
    adminToken: state.adminToken,
    calls,
    complaints,
    objects: state.objects,
    admin: asAdmin,
    fail(status: number, matches = all) {
      intercept = async (call, process) =>
        matches(call)
          ? {
              status,
              body: { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Told', code: status },
            }
          : process();
    },
    swallow(matches = all) {
      intercept = async (call, process) => {
        const answer = process();
        return matches(call) ? 'silence' : answer;
      };
    },
    alter(matches: Matches, change: (body: object) => object) {
      intercept = async (call, process) => {
        const answer = process();
        return matches(call) && typeof answer.body === 'object'
          ? { ...answer, body: change(answer.body) }
          : answer;
      };
    },
    hold(matches = all) {
      const waiting: (() => void)[] = [];
      intercept = (call, process) => {
        if (!matches(call)) return Promise.resolve(process());
        const [, amount = '60', unit = 's'] = /^(\d+)(ms|s)$/.exec(call.query.get('timeout') ?? '') ?? [];
        const untilMs = Date.now() + Number(amount) * (unit === 's' ? 1000 : 1);
        return new Promise((resolve) => {
          waiting.push(() => {
            const isLate = Date.now() >= untilMs;
            resolve(
              isLate
                ? { status: 504, body: { kind: 'Status', apiVersion: 'v1', reason: 'Timeout' } }
                : process(),
            );
          });
        });
      };
      return {
        held: () => waiting.length,
        async release() {
          for (const go of waiting.splice(0)) go();
          // What was waiting has been dealt with when the loop has gone round.
          await new Promise((resolve) => setImmediate(resolve));
        },
      };
    },
    recover() {
      intercept = undefined;
      for (const response of silent) response.destroy();
      silent.clear();
    },
    start,
    stop,
    close: stop,
  });
}

/** Asking, waiting, answering, explaining. */
import { Type } from '@sinclair/typebox';
import { AppError } from '../../protocol/errors.ts';
import * as m from '../../protocol/messages.ts';
import type { RequestRow } from '../../store/rows.ts';
import type { ReadTx } from '../../store/store.ts';
import type { Caller } from '../caller.ts';
import { explain } from '../explanations.ts';
import { concerns } from '../stage-progress.ts';
import { viewRequest } from '../views.ts';
import { Empty, LIST, type RouteContext } from './route-context.ts';

const MAX_WAIT_SECONDS = 30;

export function registerRequestRoutes(context: RouteContext): void {
  const { read, consider, change, store, rules, requests, approvals, changes, metrics } = context;

  async function showRequest(tx: ReadTx, id: string): Promise<m.RequestView> {
    const request = await tx.request(id);
    if (!request)
      throw new AppError('not_found', `there is no request '${id}'`, {
        hint: 'oncall status --refresh shows what waits',
      });
    return viewRequest(tx, rules(), request);
  }

  /** A request that one made or could answer; nobody else learns that it exists. */
  async function visible(tx: ReadTx, caller: Caller, id: string): Promise<RequestRow> {
    const request = await tx.request(id);
    if (!request || !(await concerns(tx, rules(), request, caller.person.id, await tx.now()))) {
      throw new AppError('not_found', `there is no request '${id}' of yours`, { hint: 'oncall status' });
    }
    return request;
  }

  function countDecision({ state, targets }: m.RequestView): void {
    metrics.decisions.inc({ effect: state });
    if (state !== 'denied') return;
    const denied = targets.filter(({ effect }) => effect === 'deny');
    const rules = denied.flatMap(({ rules: ours }) => ours.filter(({ effect }) => effect === 'forbid'));
    // By the rule's name in the policy: what people put into a request names nothing here.
    for (const rule of new Set(rules.map(({ id }) => id))) metrics.denials.inc({ rule });
    if (rules.length === 0) metrics.denials.inc({ rule: 'none permits' });
  }

  change(
    '/v1/requests',
    { body: m.AskRequest, result: m.RequestView },
    async (tx, caller, body) => {
      if (body.dryRun)
        throw new AppError('invalid_request', 'a dry run is asked for at /v1/requests/dry-run');
      return requests.ask(tx, caller, body);
    },
    {
      result: showRequest,
      done: countDecision,
    },
  );

  consider('/v1/requests/dry-run', { body: m.AskRequest, result: m.RequestView }, (caller, body) =>
    store.read((tx) => requests.dryRun(tx, caller, body)),
  );

  const WaitQuery = Type.Object(
    { waitSeconds: Type.Optional(Type.String({ pattern: '^\\d{1,3}$' })) },
    { additionalProperties: false },
  );
  read(
    '/v1/requests/:id',
    { result: m.RequestView, query: WaitQuery },
    async (caller, { params, query, signal }) => {
      const id = params.id ?? '';
      await store.read((tx) => visible(tx, caller, id));
      const waitMs = Math.min(Number(query.waitSeconds ?? 0), MAX_WAIT_SECONDS) * 1000;
      const settled = await changes.wait(
        async () => {
          const view = await store.read((tx) => showRequest(tx, id));
          return view.state === 'pending' ? undefined : view;
        },
        waitMs,
        signal,
      );
      return settled ?? store.read((tx) => showRequest(tx, id));
    },
  );

  read('/v1/approvals', { result: m.RequestList }, (caller) =>
    store.read(async (tx) => {
      const waiting = (await approvals.waitingFor(tx, caller.person.id)).slice(0, LIST);
      return { requests: await Promise.all(waiting.map((request) => viewRequest(tx, rules(), request))) };
    }),
  );

  change(
    '/v1/requests/:id/approve',
    { body: m.Approve, result: m.RequestView },
    (tx, caller, body, { params }) => approvals.approve(tx, caller, params.id ?? '', body),
    { result: showRequest },
  );

  change(
    '/v1/requests/:id/deny',
    { body: m.Deny, result: m.RequestView, takesAway: true },
    (tx, caller, body, { params }) => approvals.deny(tx, caller, params.id ?? '', body),
    { result: showRequest },
  );

  change(
    '/v1/requests/:id/cancel',
    { body: Empty, result: m.RequestView, takesAway: true },
    (tx, caller, _body, { params }) => requests.cancel(tx, caller, params.id ?? ''),
    { result: showRequest },
  );

  consider('/v1/explain', { body: m.Explain, result: m.Explanation }, (caller, body) =>
    store.read((tx) => explain(tx, rules(), caller, body)),
  );
}

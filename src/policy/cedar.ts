/**
 * The only door to Cedar. A preparsed policy set stays in the module's memory for ever under its id, so ids are few and
 * used again: one belongs to a loaded policy until that is garbage, and then to the next.
 */
import { setFlagsFromString } from 'node:v8';
import {
  type CedarValueJson,
  type Context,
  type DetailedError,
  type EntityJson,
  type PolicyJson,
  policyToJson,
  preparsePolicySet,
  statefulIsAuthorized,
  type TypeAndId,
  validate,
} from '@cedar-policy/cedar-wasm/nodejs';
import { AppError } from '../protocol/errors.ts';
import { SCHEMA } from './schema.ts';

// V8 (Node 20 and 22, measured) aborts the process ("unreachable code" in the deoptimizer) after some thousand decisions,
// once the optimizer has put a call into WebAssembly inline. Without that optimization decisions are as fast.
setFlagsFromString('--no-turbo-inline-js-wasm-calls');

export type {
  CedarValueJson,
  Context,
  EntityJson,
  Expr,
  PolicyJson,
  TypeAndId,
} from '@cedar-policy/cedar-wasm/nodejs';

/** What Cedar says of a policy's text. Offsets are bytes of UTF-8. */
export interface Problem {
  severity: 'error' | 'warning';
  message: string;
  hint: string | undefined;
  startByte: number | undefined;
}

export interface CedarRequest {
  principal: TypeAndId;
  action: string;
  resource: TypeAndId;
  context: Context;
  entities: EntityJson[];
}

export interface CedarAnswer {
  allowed: boolean;
  /** Ids of the policies that decided. */
  reasons: readonly string[];
  errors: readonly string[];
}

export function parsePolicy(text: string): { json: PolicyJson } | { problems: Problem[] } {
  const answer = policyToJson(text);
  return answer.type === 'success'
    ? { json: answer.json }
    : { problems: answer.errors.flatMap((error) => flatten(error, 'error')) };
}

/** Strict validation against our schema; findings by the id that the policy has in `policies`. */
export function validatePolicies(
  policies: Record<string, string>,
): { id: string | undefined; problem: Problem }[] {
  const answer = validate({
    schema: SCHEMA,
    policies: { staticPolicies: policies },
    validationSettings: { mode: 'strict' },
  });
  if (answer.type === 'failure') {
    return answer.errors
      .flatMap((error) => flatten(error, 'error'))
      .map((problem) => ({ id: undefined, problem }));
  }
  const read = (severity: Problem['severity']) => (found: { policyId: string; error: DetailedError }) =>
    flatten(found.error, severity).map((problem) => ({ id: found.policyId, problem }));
  return [
    ...answer.validationErrors.flatMap(read('error')),
    ...answer.validationWarnings.flatMap(read('warning')),
  ];
}

const freeIds: string[] = [];
const collected = new FinalizationRegistry<string>((id) => freeIds.push(id));
let idsMade = 0;

export class PreparsedPolicies {
  readonly #id: string;

  /** Throws `policy_invalid` for text that doesn't parse; callers have validated it before. */
  constructor(policies: Record<string, string>) {
    this.#id = freeIds.pop() ?? `oncall-${idsMade++}`;
    collected.register(this, this.#id);
    const answer = preparsePolicySet(this.#id, { staticPolicies: policies });
    if (answer.type !== 'success') {
      throw new AppError('policy_invalid', answer.errors[0]?.message ?? 'the policies do not parse');
    }
  }

  /**
   * Evaluates without the schema: rules were validated strictly when they were loaded, requests are built by entities.ts
   * alone, and checking both again costs more than deciding (six times less throughput, measured).
   */
  authorize(request: CedarRequest): CedarAnswer {
    const answer = statefulIsAuthorized({
      principal: request.principal,
      action: { type: 'Action', id: request.action },
      resource: request.resource,
      context: request.context,
      entities: request.entities,
      preparsedPolicySetId: this.#id,
      validateRequest: false,
    });
    if (answer.type === 'failure') {
      return { allowed: false, reasons: [], errors: answer.errors.map(({ message }) => message) };
    }
    const { reason, errors } = answer.response.diagnostics;
    return {
      allowed: answer.response.decision === 'allow' && errors.length === 0,
      reasons: reason.toSorted(),
      errors: errors.map(({ policyId, error }) => `${policyId}: ${error.message}`),
    };
  }
}

function flatten(error: DetailedError, severity: Problem['severity']): Problem[] {
  const location = error.sourceLocations?.[0];
  const own: Problem = {
    severity,
    message: error.message
      .replace(/^for policy `[^`]*`, /, '')
      .replace(/^failed to parse policy from string: /, ''),
    hint: error.help ?? location?.label ?? undefined,
    startByte: location?.start,
  };
  return [own, ...(error.related ?? []).flatMap((related) => flatten(related, severity))];
}

/** A date and time for a rule, in milliseconds since 1970. */
export function datetime(ms: number): CedarValueJson {
  return { __extn: { fn: 'datetime', arg: new Date(ms).toISOString() } };
}

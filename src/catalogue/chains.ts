import type { Node } from 'yaml';
import { isName } from '../protocol/names.ts';
import { type Known, readApprovers } from './approvers.ts';
import { createChainCheck, type PlacedStage } from './chain-check.ts';
import { type Fields, readFields } from './fields.ts';
import { NAME_FORM, readNamed } from './people.ts';
import type { Reader } from './read.ts';
import type { ApprovalChain, Party, Stage } from './types.ts';

const DEFAULT_EXPIRES_SECONDS = 3600;
const MOST_STAGES = 10;
const MOST_PARTIES = 10;
const MOST_NEEDED = 20;
const OUTCOMES = ['next', 'auto-override', 'deny'] as const;

export function readChains(reader: Reader, node: Node | undefined, known: Known): Map<string, ApprovalChain> {
  const chains = new Map<string, ApprovalChain>();
  const check = createChainCheck(reader, known);
  for (const { key, value } of readNamed(reader, node, 'approvals', isName, NAME_FORM)) {
    const path = `approvals.${key.value}`;
    const fields = readFields(reader, value, path, ['approvers', 'need', 'stages', 'expires']);
    if (fields === undefined) continue;
    const expiresSeconds = fields.duration('expires')?.value ?? DEFAULT_EXPIRES_SECONDS;
    const stages = fields.has('stages')
      ? readStages(fields, expiresSeconds, known)
      : readOnlyStage(fields, key.node, known);
    if (stages === undefined) continue;
    chains.set(key.value, { id: key.value, stages: stages.map(({ stage }) => stage), expiresSeconds });
    check(key.node, path, stages);
  }
  return chains;
}

/** `approvers` at the chain itself: one stage that waits until the request expires. */
function readOnlyStage(fields: Fields, node: Node, known: Known): PlacedStage[] | undefined {
  const party = readParty(fields, known);
  if (party === undefined) return undefined;
  const stage: Stage = { parties: [party], waitSeconds: undefined, otherwise: 'deny' };
  return [{ stage, node, path: fields.path }];
}

function readStages(fields: Fields, expiresSeconds: number, known: Known): PlacedStage[] | undefined {
  const { reader, path } = fields;
  if (fields.has('approvers') || fields.has('need')) {
    reader.error(fields.node, `${path} has both stages and approvers`, 'move the approvers into a stage');
  }
  const nodes = fields.items('stages');
  if (nodes.length === 0 || nodes.length > MOST_STAGES) {
    return reader.error(fields.node, `${path} must have from 1 to ${MOST_STAGES} stages`);
  }
  const stages = nodes.flatMap((node, index): PlacedStage[] => {
    const at = `${path}.stages.${index + 1}`;
    const stage = readStage(reader, node, at, index === nodes.length - 1, known);
    return stage ? [{ stage, node, path: at }] : [];
  });
  if (stages.length < nodes.length) return undefined;
  checkTime(fields, stages, expiresSeconds);
  return stages;
}

function readStage(
  reader: Reader,
  node: Node,
  path: string,
  isLast: boolean,
  known: Known,
): Stage | undefined {
  const fields = readFields(reader, node, path, ['approvers', 'need', 'parties', 'wait', 'then']);
  if (fields === undefined) return undefined;
  const wait = fields.duration('wait');
  const then = fields.choice('then', OUTCOMES);
  const otherwise = then?.value ?? (isLast ? 'deny' : 'next');
  if (then && isLast && otherwise === 'next') {
    reader.error(then.node, `${path} is the last stage: nothing is next`, 'write then: deny');
  }
  if (then && !isLast && otherwise !== 'next') {
    reader.error(then.node, `the stages after ${path} are never reached`, 'write then: next');
  }
  if (!fields.has('wait') && (!isLast || otherwise === 'auto-override')) {
    reader.error(node, `${path} has no wait, so nothing follows it`, 'add wait: 5m');
  }
  const parties = readParties(fields, known);
  return parties && { parties, waitSeconds: wait?.value, otherwise };
}

function readParties(stage: Fields, known: Known): Party[] | undefined {
  const { reader, path } = stage;
  if (!stage.has('parties')) {
    const party = readParty(stage, known);
    return party && [party];
  }
  if (stage.has('approvers') || stage.has('need')) {
    reader.error(stage.node, `${path} has both parties and approvers`, 'move the approvers into a party');
  }
  const nodes = stage.items('parties');
  if (nodes.length === 0 || nodes.length > MOST_PARTIES) {
    return reader.error(stage.node, `${path} must have from 1 to ${MOST_PARTIES} parties`);
  }
  const parties = nodes.flatMap((node, index) => {
    const fields = readFields(reader, node, `${path}.parties.${index + 1}`, ['approvers', 'need']);
    return (fields && readParty(fields, known)) ?? [];
  });
  return parties.length === nodes.length ? parties : undefined;
}

function readParty(fields: Fields, known: Known): Party | undefined {
  const need = fields.integer('need', 1, MOST_NEEDED);
  const approvers = readApprovers(fields, 'approvers', known);
  return approvers && { approvers, need: need?.value ?? 1 };
}

/** A request that expires takes its timers with it. */
function checkTime({ reader, path }: Fields, stages: readonly PlacedStage[], expiresSeconds: number): void {
  const last = stages.at(-1);
  if (last === undefined) return;
  const waited = stages.reduce((sum, { stage }) => sum + (stage.waitSeconds ?? 0), 0);
  const needsTimeAfter = last.stage.waitSeconds === undefined || last.stage.otherwise === 'auto-override';
  if (waited > expiresSeconds || (needsTimeAfter && waited === expiresSeconds)) {
    reader.error(
      last.node,
      `the waits of ${path} leave no time: the request expires before`,
      'raise expires, or shorten the waits',
    );
  }
}

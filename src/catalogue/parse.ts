import { createHash } from 'node:crypto';
import type { Node } from 'yaml';
import { readFields } from './fields.ts';
import { readChains, readNames, readPeople } from './people.ts';
import { Reader } from './read.ts';
import { readResources } from './resources.ts';
import { readSchedules, readServices } from './schedules.ts';
import type { Catalogue, Finding } from './types.ts';

const SECTIONS = ['groups', 'people', 'services', 'schedules', 'resources', 'approvals'];

const GRACE: Catalogue['grace'] = { incidentSeconds: 600, shiftSeconds: 600 };
const REVIEWS: Catalogue['reviews'] = { owners: [{ kind: 'manager' }], dueSeconds: 72 * 3600 };

export interface ParsedCatalogue {
  /** Undefined where any finding is an error. */
  catalogue: Catalogue | undefined;
  /** In the order of the file. */
  findings: readonly Finding[];
}

/**
 * Reads a catalogue (YAML 1.2 core schema, at most 1 MB, at most 200 aliases, no unknown or repeated key, every name
 * defined in the same file). `file` is what findings call it, `directory` where its relative paths start. Never throws
 * for bad text.
 */
export function parseCatalogue(text: string, file: string, directory: string): ParsedCatalogue {
  const reader = new Reader(text, file);
  const read = readSections(reader);
  if (reader.root === undefined && reader.findings.length === 0) {
    reader.findings.push({
      severity: 'error',
      file,
      line: 1,
      column: 1,
      message: 'the catalogue is empty',
      hint: 'oncall broker init DIR writes one to start from',
    });
  }
  const findings = reader.findings.toSorted(
    (a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0),
  );
  if (read === undefined || findings.some(({ severity }) => severity === 'error')) {
    return { catalogue: undefined, findings };
  }
  const sha256 = createHash('sha256').update(text, 'utf8').digest('hex');
  return { catalogue: { ...read, sha256, directory }, findings };
}

function readSections(reader: Reader): Omit<Catalogue, 'sha256' | 'directory'> | undefined {
  const fields = reader.root && readFields(reader, reader.root, 'the catalogue', SECTIONS);
  if (fields === undefined) return undefined;
  const section = (key: string): Node | undefined => fields.optional(key, (node) => node)?.value;
  const groups = readNames(reader, section('groups'), 'groups');
  const people = readPeople(reader, section('people'), groups);
  const schedules = readSchedules(reader, section('schedules'), [...people.keys()]);
  const services = readServices(reader, section('services'), schedules);
  return {
    groups,
    people,
    schedules,
    services,
    resources: readResources(reader, section('resources'), new Set(services.keys())),
    chains: readChains(reader, section('approvals'), people, groups),
    bundles: new Map(),
    automation: new Map(),
    sources: new Map(),
    channels: new Map(),
    grace: GRACE,
    reviews: REVIEWS,
  };
}

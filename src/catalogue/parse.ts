import { createHash } from 'node:crypto';
import type { Node } from 'yaml';
import { readGrace, readReviews } from './aftermath.ts';
import { readAutomation } from './automation.ts';
import { readBreakGlass } from './break-glass.ts';
import { readBundles } from './bundles.ts';
import { readChains } from './chains.ts';
import { readChannels } from './channels.ts';
import { readFields, WHOLE } from './fields.ts';
import { readNames, readPeople } from './people.ts';
import { Reader } from './read.ts';
import { readResources } from './resources.ts';
import { readSchedules } from './schedules.ts';
import { withSecondPerson } from './second-person.ts';
import { readServices } from './services.ts';
import { readSources } from './sources.ts';
import type { Catalogue, Finding } from './types.ts';

const SECTIONS = [
  ...['groups', 'people', 'sources', 'schedules', 'services', 'resources', 'bundles', 'automation'],
  ...['approvals', 'grace', 'reviews', 'breakGlass', 'notify'],
];

export interface ParsedCatalogue {
  /** Undefined where any finding is an error. */
  catalogue: Catalogue | undefined;
  /** In the order of the file. */
  findings: readonly Finding[];
}

/**
 * Reads a catalogue (YAML 1.2 core schema, at most 5 MB, at most 200 aliases, no unknown or repeated key, every name
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
  return { catalogue: { ...read, places: reader.places, sha256, directory }, findings };
}

function readSections(reader: Reader): Omit<Catalogue, 'places' | 'sha256' | 'directory'> | undefined {
  const fields = reader.root && readFields(reader, reader.root, WHOLE, SECTIONS);
  if (fields === undefined) return undefined;
  const section = (key: string): Node | undefined => fields.optional(key, (node) => node)?.value;
  // Sections refer to each other both ways: what is read later is known by its name before.
  const sourceNames = reader.keys(section('sources'));
  const bundleNames = reader.keys(section('bundles'));
  const groups = readNames(reader, section('groups'), 'groups');
  const sources = readSources(reader, section('sources'));
  const people = readPeople(reader, section('people'), groups, sourceNames);
  const schedules = readSchedules(reader, section('schedules'), { people, sources, sourceNames });
  const services = readServices(reader, section('services'), {
    schedules,
    sources: sourceNames,
    bundles: bundleNames,
  });
  const resources = readResources(reader, section('resources'), new Set(services.keys()));
  const approvers = { people, groups, schedules };
  const chains = readChains(reader, section('approvals'), approvers);
  const breakGlass = readBreakGlass(reader, section('breakGlass'), approvers);
  return {
    groups,
    people,
    sources,
    schedules,
    services,
    resources,
    bundles: readBundles(reader, section('bundles'), resources),
    automation: readAutomation(reader, section('automation'), { schedules, services, bundles: bundleNames }),
    chains: withSecondPerson(chains, resources, breakGlass),
    grace: readGrace(reader, section('grace')),
    reviews: readReviews(reader, section('reviews'), approvers),
    breakGlass,
    channels: readChannels(reader, section('notify')),
  };
}

import { STARTER_POLICY } from '../../src/policy/starter.ts';
import { incident, load, question, shift, testCatalogue } from './questions.ts';

const catalogue = testCatalogue();
const asked = question({ facts: { shift: shift(), incident: incident() } });
const starter = load(STARTER_POLICY, catalogue);
for (let i = 0; i < 6000; i++) starter.decideAccess(asked);

const rule = (i: number) =>
  `@id("n${i}") @because("b") permit (principal, action == Action::"grant", resource) when { context.request.durationSeconds > ${i} };`;
const large = load(Array.from({ length: 500 }, (_, i) => rule(i)).join('\n'), catalogue);
for (let i = 0; i < 50; i++) large.decideAccess(asked);
process.stdout.write(`${large.decideAccess(asked).rules.length} rules decided\n`);

// Every JSON that a test sees `oncall` write is held to the schema that is published for it.
import Ajv2020, { type ValidateFunction } from 'ajv/dist/2020.js';
import { type OutputName, outputSchema, outputs } from '../../src/cli/outputs.ts';

export type Json = Readonly<Record<string, unknown>>;

const NAME = /^oncall\.[^/]+\/v\d+$/;

const ajv = new Ajv2020.default({ allErrors: true, strict: false });
const validators = new Map<OutputName, ValidateFunction>();

/** Throws for an object of ours that is not what it says it is. What is no JSON, or not ours, is somebody else's business. */
export function checkOutputs(text: string): void {
  for (const value of objectsIn(text)) checkOutput(value);
}

/** One object, against the strict schema: a member that is not declared is a mistake of ours. */
export function checkOutput(value: Json): void {
  const schema = String(value.schema);
  if (!NAME.test(schema)) return;
  const wanted = Object.keys(outputs).find((known) => schema === `oncall.${known}/v1`);
  if (wanted === undefined) throw new Error(`no schema is published for ${schema}`);
  const validate = validatorOf(wanted as OutputName);
  if (validate(value)) return;
  const problems = (validate.errors ?? []).map(
    ({ instancePath, message, params }) => `${instancePath || '/'} ${message} ${JSON.stringify(params)}`,
  );
  throw new Error(`${schema} is not what oncall help json says:\n  ${problems.join('\n  ')}`);
}

function validatorOf(name: OutputName): ValidateFunction {
  let validate = validators.get(name);
  if (validate === undefined) {
    // As it is printed: what the library keeps beside it is not part of a schema.
    validate = ajv.compile(JSON.parse(JSON.stringify(outputSchema(name))));
    validators.set(name, validate);
  }
  return validate;
}

/** Objects of a line each, and those whose braces stand on lines of their own; other lines are somebody else's. */
export function objectsIn(text: string): Json[] {
  const objects: Json[] = [];
  let open: string[] | undefined;
  for (const line of text.split('\n')) {
    if (line === '{') open = [];
    open?.push(line);
    const value = parsed(open === undefined ? line : line === '}' ? open.join('\n') : '');
    if (value !== undefined) objects.push(value);
    if (line === '}') open = undefined;
  }
  return objects;
}

function parsed(text: string): Json | undefined {
  if (!text.trimStart().startsWith('{')) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

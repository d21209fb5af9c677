/**
 * jCal (RFC 7265), as ical.js parses calendars into: a component is [name, properties, components], a property
 * [name, parameters, type, ...values]. Read as it is, because ICAL.Component costs ten times the parsing, and ICAL.Time makes
 * 1 July of 31 June.
 */
export type Property = [
  name: string,
  parameters: Readonly<Record<string, unknown>>,
  type: string,
  ...values: unknown[],
];
export type Component = [name: string, properties: Property[], components: Component[]];

/** The properties of one component. */
export class Properties {
  readonly #byName = new Map<string, Property[]>();

  constructor([, properties]: Component) {
    for (const property of properties) {
      const known = this.#byName.get(property[0]);
      if (known) known.push(property);
      else this.#byName.set(property[0], [property]);
    }
  }

  all(name: string): readonly Property[] {
    return this.#byName.get(name) ?? [];
  }

  has(name: string): boolean {
    return this.#byName.has(name);
  }

  /** The first value of the first; empty where there is none. */
  text(name: string): string {
    return String(this.all(name)[0]?.[3] ?? '');
  }
}

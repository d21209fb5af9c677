/**
 * Every message of the HTTP interface, once: the broker validates with these schemas and publishes them as OpenAPI, the
 * client takes its types from them (type imports only: TypeBox never loads on the client). Unknown members are refused.
 * Instants are RFC 3339 UTC with milliseconds; durations carry their unit in the name.
 */
export * from './messages/audit.ts';
export * from './messages/audit-envelope.ts';
export * from './messages/break-glass.ts';
export * from './messages/catalogue.ts';
export * from './messages/devices.ts';
export * from './messages/errors.ts';
export * from './messages/events.ts';
export * from './messages/grants.ts';
export * from './messages/hosts.ts';
export * from './messages/incidents.ts';
export * from './messages/requests.ts';
export * from './messages/reviews.ts';
export * from './messages/target.ts';

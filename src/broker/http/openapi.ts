import type { FastifySchema, RouteOptions } from 'fastify';
import { ErrorReply } from '../../protocol/messages.ts';

/** OpenAPI 3.1 of the routes, made from the schemas that validate: what it says is what is enforced. */
export function openApiOf(
  routes: readonly RouteOptions[],
  version: string,
  publicUrl: string,
): Record<string, unknown> {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const route of routes) {
    const path = route.url.replace(/:(\w+)/g, '{$1}');
    const schema: FastifySchema = route.schema ?? {};
    const methods = [route.method].flat().filter((method) => method !== 'HEAD');
    for (const method of methods) {
      paths[path] = {
        ...paths[path],
        [method.toLowerCase()]: operation(path, schema, route.config?.signed === true),
      };
    }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'oncall broker', version },
    servers: [{ url: publicUrl }],
    components: {
      securitySchemes: {
        messageSignature: {
          type: 'apiKey',
          in: 'header',
          name: 'Signature',
          description: 'HTTP Message Signature (RFC 9421) by a registered device key, tag "oncall"',
        },
      },
    },
    paths,
  };
}

function operation(path: string, schema: FastifySchema, signed: boolean): Record<string, unknown> {
  const parameters = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const query =
    (schema.querystring as { properties?: Record<string, unknown> } | undefined)?.properties ?? {};
  const queryParameters = Object.entries(query).map(([name, type]) => ({ name, in: 'query', schema: type }));
  const { 200: result } = (schema.response ?? {}) as Record<string, unknown>;
  return {
    ...(signed && { security: [{ messageSignature: [] }] }),
    parameters: [...parameters, ...queryParameters],
    ...(schema.body !== undefined && {
      requestBody: { required: true, ...json(schema.body) },
    }),
    responses: {
      200: { description: 'done', ...(result !== undefined && json(result)) },
      default: { description: 'refused', ...json(ErrorReply) },
    },
  };
}

function json(schema: unknown): { content: object } {
  return { content: { 'application/json': { schema } } };
}

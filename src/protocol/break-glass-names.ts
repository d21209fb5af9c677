/**
 * The names by which targets know break-glass: none of them is ever used by the normal issuers, so that a target can hold the
 * break-glass CAs to them, and whoever reads its log sees what it was.
 */

/** SSH principal, X.509 common name, `pg_ident` name: one resource and role. The catalogue sees to it that no two share one. */
export function breakGlassName({ resource, role }: { resource: string; role: string }): string {
  return `breakglass-${resource}-${role}`;
}

/** So that the whole fits where X.509 has 64 characters (RFC 5280 appendix A, ub-organizational-unit-name). */
const LONGEST_USER = 35;

/** SSH key id, X.509 organizational unit: who, by which pack and slot. */
export function breakGlassKeyId(use: { user: string; pack: string; slot: number }): string {
  const user = use.user.replace(/[^A-Za-z0-9._@+-]/g, '_').slice(0, LONGEST_USER);
  return `bg/${user}/${use.pack}/${use.slot}`;
}

/** Out of {@link breakGlassKeyId}; undefined for any other text. `user` may have been altered to fit. */
export function parseBreakGlassKeyId(text: string): { user: string; pack: string; slot: number } | undefined {
  const [, user, pack, slot] =
    /^bg\/([A-Za-z0-9._@+-]{1,128})\/(bg_[0-9a-hjkmnp-tv-z]{19})\/(0|[1-9]\d{0,3})$/.exec(text) ?? [];
  return user === undefined || pack === undefined ? undefined : { user, pack, slot: Number(slot) };
}

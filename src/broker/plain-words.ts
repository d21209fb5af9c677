/** Attacker-controlled words, for rows and notices: PostgreSQL cannot store NUL, and nobody wants the other control characters. */
export function plainWords(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, ' ');
}

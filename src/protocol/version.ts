declare const ONCALL_VERSION: string | undefined;

/** Set by the build; source run directly (tests) has none. */
export const version = typeof ONCALL_VERSION === 'string' ? ONCALL_VERSION : '0.0.0-source';

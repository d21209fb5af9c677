/** Whether a host name or address (IPv6 with or without brackets) is this machine by definition: no other name is looked up. */
export function isLoopback(host: string): boolean {
  return /^(?:localhost|127(?:\.\d{1,3}){3}|::1|\[::1\])$/.test(host);
}

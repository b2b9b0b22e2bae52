/** What the server knows a program by: a bearer token, or what gives the one that is good now. */
export type Token = string | (() => string);

export const tokenNow = (token: Token): string => (typeof token === "function" ? token() : token);

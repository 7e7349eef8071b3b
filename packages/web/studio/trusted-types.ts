/**
 * What the page's Content-Security-Policy lets through where strings become code: addresses of this site, for workers. HTML from strings is
 * Lit's own templates' affair; a text that anybody wrote never gets there.
 */

interface TrustedTypes {
  createPolicy(name: "default", rules: { readonly createScriptURL: (url: string) => string }): unknown;
}

(globalThis as { readonly trustedTypes?: TrustedTypes }).trustedTypes?.createPolicy("default", {
  createScriptURL(url) {
    if (new URL(url, document.baseURI).origin === location.origin) return url;
    throw new TypeError(`studio: a worker's file must be of this site, got ${url}.`);
  },
});

export {};

import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

const gateway = process.env.USHER_GATEWAY ?? 'http://127.0.0.1:8000';

export default defineConfig({
  plugins: [svelte()],
  build: { target: 'es2022', assetsInlineLimit: 0 },
  server: {
    proxy: {
      '/api': gateway,
      '/tickets': gateway,
      '/ws': { target: gateway, ws: true },
    },
  },
  test: { environment: 'node', include: ['src/**/*.test.ts'] },
});

// Copied beside its node_modules in the cache folder before it is used; the paths below
// are relative to the root of the repository, where eslint is started.
import js from "@eslint/js";
import globals from "globals";

const rules = {
    ...js.configs.recommended.rules,
    complexity: ["error", 16],
    eqeqeq: ["error", "always", {null: "ignore"}],
    "no-console": "error",
    "no-debugger": "error",
    "no-duplicate-imports": "error",
    "no-eval": "error",
    "no-implied-eval": "error",
    "no-lonely-if": "error",
    "no-new-func": "error",
    "no-return-assign": "error",
    "no-script-url": "error",
    "no-shadow": "error",
    "no-throw-literal": "error",
    "no-unneeded-ternary": "error",
    "no-use-before-define": ["error", {functions: false}],
    "no-var": "error",
    "operator-assignment": ["error", "always"],
    "prefer-const": "error",
    yoda: "error",
};

export default [
    {
        // Modules that Odoo bundles.
        files: ["static/**/*.js"],
        ignores: ["static/sdk/**", "static/lib/**"],
        languageOptions: {
            ecmaVersion: 2023,
            sourceType: "module",
            globals: {...globals.browser, odoo: "readonly", luxon: "readonly"},
        },
        rules,
        linterOptions: {reportUnusedDisableDirectives: "error"},
    },
    {
        // Scripts that foreign sites load as they are, in browsers of any age.
        files: ["static/sdk/**/*.js"],
        languageOptions: {
            ecmaVersion: 2017,
            sourceType: "script",
            globals: globals.browser,
        },
        rules: {...rules, "no-var": "off", "prefer-const": "off"},
        linterOptions: {reportUnusedDisableDirectives: "error"},
    },
];

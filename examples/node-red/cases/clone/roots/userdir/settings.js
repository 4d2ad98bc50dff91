module.exports = {
    /** Where the flows are. */
    flowFile: 'flows.json',

    // credentialSecret: "a-secret-key",
    credentialSecret: 'not a secret, this is a sample',

    uiPort: process.env.PORT || 1880,

    functionGlobalContext: {
        // os: require('os'),
    },
};

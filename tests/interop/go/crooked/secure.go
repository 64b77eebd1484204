package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"os"
	"time"
)

// How long a chain of certificates is that has more than the one.
const chainLength = 10

// secured is what puts TLS around a connection, and the certificate to announce. The flaws: none at all ("plaintext"), an
// old version ("tls10", "tls11", and "tls12", which is none), no choice of a protocol ("no-alpn") or another ("http11"),
// more certificates than the announced one ("chain", and "chain-behind" with another one first), and a server that asks
// for no certificate ("no-client-auth").
func secured(flaw string) (func(net.Conn) net.Conn, []byte, error) {
	announced, err := certificate()
	if err != nil {
		return nil, nil, err
	}
	config, err := flawed(flaw, announced)
	if err != nil {
		return nil, nil, err
	}
	secure := func(stream net.Conn) net.Conn {
		if flaw == "plaintext" {
			return stream
		}
		return tls.Server(stream, config)
	}
	return secure, announced.Certificate[0], nil
}

func flawed(flaw string, announced tls.Certificate) (*tls.Config, error) {
	hosts := x509.NewCertPool()
	hosts.AppendCertsFromPEM([]byte(os.Getenv("PLUGIN_CLIENT_CERT")))
	config := &tls.Config{
		Certificates: []tls.Certificate{announced},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    hosts,
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2"},
	}
	switch flaw {
	case "tls10":
		config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS10
	case "tls11":
		config.MinVersion, config.MaxVersion = tls.VersionTLS11, tls.VersionTLS11
	case "tls12":
		config.MaxVersion = tls.VersionTLS12
	case "no-alpn":
		config.NextProtos = nil
	case "http11":
		config.NextProtos = []string{"http/1.1"}
	case "no-client-auth":
		config.ClientAuth = tls.NoClientCert
	case "chain":
		return config, lengthen(&config.Certificates[0])
	case "chain-behind":
		return config, hide(&config.Certificates[0])
	}
	return config, nil
}

// lengthen puts others behind the announced certificate.
func lengthen(announced *tls.Certificate) error {
	for len(announced.Certificate) < chainLength {
		other, err := certificate()
		if err != nil {
			return err
		}
		announced.Certificate = append(announced.Certificate, other.Certificate[0])
	}
	return nil
}

// hide puts another certificate, whose key this side has, before the announced one.
func hide(announced *tls.Certificate) error {
	other, err := certificate()
	if err != nil {
		return err
	}
	other.Certificate = append(other.Certificate, announced.Certificate...)
	*announced = other
	return lengthen(announced)
}

// certificate makes one as go-plugin does, with its key.
func certificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "localhost"},
		DNSNames:     []string{"localhost"},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
		IsCA:         true,

		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
